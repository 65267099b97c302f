"""Windows of the calendar in a time zone, by the data of the module zoneinfo."""

import datetime
import zoneinfo

# The data of the package tzdata, as in the program. Systems can have other rules before 1970.
zoneinfo.reset_tzpath(to=[])

SECOND = 1_000_000_000
# Seconds that are more than any window has.
LONGEST = {"hour": 10_800, "day": 2 * 86_400, "week": 9 * 86_400, "month": 33 * 86_400, "year": 368 * 86_400}
# Seconds of the longest window without a change of the clocks.
USUAL = {"hour": 3_600, "day": 86_400, "week": 7 * 86_400, "month": 31 * 86_400, "year": 366 * 86_400}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def _local(second, zone):
    return (_EPOCH + datetime.timedelta(seconds=second)).astimezone(zone)


def _label(second, unit, zone):
    """Returns a number that names the day, week, month or year of a moment, and that never decreases."""
    local = _local(second, zone)
    day = local.date().toordinal()
    if unit == "day":
        return day
    if unit == "week":
        return (day - 1) // 7  # The ordinal 1 is a Monday.
    if unit == "month":
        return local.year * 12 + local.month
    return local.year


def _first(label, unit, zone, low, high):
    """Returns the first second with the label or a greater one; it is after `low` and not after `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        if _label(middle, unit, zone) >= label:
            high = middle
        else:
            low = middle
    return high


def _hour(second, zone):
    """Returns the date and hour of the clocks, the seconds since the full hour, and the offset of the zone."""
    local = _local(second, zone)
    return (local.date(), local.hour), local.minute * 60 + local.second, local.utcoffset()


def _change(offset, zone, low, high):
    """Returns the first second at which the clocks have another offset; it is after `low` and not after `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        if _hour(middle, zone)[2] == offset:
            low = middle
        else:
            high = middle
    return high


def _starts_hour(second, zone):
    """Returns whether an hour starts at a change of the clocks."""
    return _hour(second, zone)[1] == 0 or _hour(second, zone)[0] != _hour(second - 1, zone)[0]


def _hour_start(second, zone):
    while True:
        _, past, offset = _hour(second, zone)
        start = second - past
        before = _hour(start, zone)[2]
        if before == offset:
            return start
        change = _change(before, zone, start, second)
        if _starts_hour(change, zone):
            return change
        second = change - 1


def _hour_end(second, zone):
    while True:
        _, past, offset = _hour(second, zone)
        end = second - past + 3_600
        if _hour(end, zone)[2] == offset:
            return end
        change = _change(offset, zone, second, end)
        if _starts_hour(change, zone):
            return change
        second = change


def window_of(time, unit, zone_name):
    """Returns the first moment of the window of a time and that of the next window, in nanoseconds since 1970."""
    zone = zoneinfo.ZoneInfo(zone_name or "UTC")
    second = time // SECOND
    if unit == "hour":
        return _hour_start(second, zone) * SECOND, _hour_end(second, zone) * SECOND
    label = _label(second, unit, zone)
    longest = LONGEST[unit]
    start = _first(label, unit, zone, second - longest, second)
    end = _first(label + 1, unit, zone, second, second + longest)
    return start * SECOND, end * SECOND
