"""Prints what a run came to, from pytest's reports, as the last line "N passed, N failed"; before
it, of how much a short run did a part only (the property `left_out` of tests)."""
import sys
import xml.etree.ElementTree as tree


def property_sum(suites, name):
    return sum(int(one.get("value")) for suite in suites for one in suite.iter("property")
               if one.get("name") == name)


def main():
    status = int(sys.argv[1])
    try:
        suites = [suite for report in sys.argv[2:]
                  for suite in tree.parse(report).getroot().iter("testsuite")]
    except (OSError, tree.ParseError):
        print("the tests did not run to their end")
        print("0 passed, 1 failed")
        return 1
    total, failed, skipped = (sum(int(suite.get(name, 0)) for suite in suites)
                              for name in ("tests", "failures", "skipped"))
    failed += sum(int(suite.get("errors", 0)) for suite in suites)
    passed = total - failed - skipped
    # 5 is "no tests collected"; anything else but 0 and 1 is a run that broke off.
    if status not in (0, 1) and failed == 0:
        failed = 1
    left_out = property_sum(suites, "left_out")
    if left_out:
        print(f"{left_out} of {property_sum(suites, 'left_out_of')} stops of refreshes were left "
              "out, which STREAMHOLD_LONG=1 has")
    if skipped:
        print(f"{skipped} skipped, for the reasons above")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
