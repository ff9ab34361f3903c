"""Fixtures: a started fake with two apps and two users, and a correct client of it."""
import pytest

from .flow import MAKERS, Api, make


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


@pytest.fixture
def api(kick):
    """Kick's API with a user's token."""
    return Api(kick)


@pytest.fixture
def app(kick):
    """Kick's API with an application's token."""
    return Api(kick, app=True)
