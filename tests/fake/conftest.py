"""Fixtures: a started fake with two apps and two users, and a correct client of it."""
import pytest

from .flow import MAKERS, make


@pytest.fixture(params=MAKERS)
def flow(request):
    flow = make(request.param)
    yield flow
    flow.fake.stop()


@pytest.fixture
def kick():
    flow = make("kick")
    yield flow
    flow.fake.stop()


@pytest.fixture
def twitch():
    flow = make("twitch")
    yield flow
    flow.fake.stop()


@pytest.fixture
def google():
    flow = make("google")
    yield flow
    flow.fake.stop()
