"""Numbers: exact until the end, then rounded half up.

"Amounts are exact sums in the reporting currency. Rates are rounded to four decimals and days to two, both half up. A day is 24
hours. The median of an even number of values is the mean of the middle two."
"""

from decimal import Decimal
from fractions import Fraction

MICROS = 1_000_000
DAY = 24 * 60 * 60 * MICROS

# Currencies whose minor unit is not a hundredth (ISO 4217).
_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "TND": 3, "JOD": 3}


def half_up(value, digits=0):
    """The integer number of units of 10^-digits that `value` is nearest to; a half goes up."""
    return (Fraction(value) * 10**digits * 2 + 1).__floor__() // 2


def rounded(value, digits):
    """`value` as a decimal with so many digits, half up; None stays None."""
    if value is None:
        return None
    return Decimal(half_up(value, digits)).scaleb(-digits)


def rate(part, whole):
    """A ratio to four decimals; None where there is nothing to divide by."""
    return None if whole == 0 else rounded(Fraction(part, whole), 4)


def days(micros):
    """Microseconds as days to two decimals."""
    return None if micros is None else rounded(Fraction(micros) / DAY, 2)


def mean(values):
    """The exact mean, or None of nothing."""
    return Fraction(sum(values), len(values)) if values else None


def median(values):
    """The exact median; of an even number of values the mean of the middle two."""
    if not values:
        return None
    ordered, middle = sorted(values), len(values) // 2
    if len(ordered) % 2:
        return Fraction(ordered[middle])
    return Fraction(ordered[middle - 1] + ordered[middle], 2)


def minor_digits(currency):
    """How many decimals the minor unit of a currency has."""
    return _DIGITS.get(currency, 2)


def to_minor(text, currency):
    """An amount such as "12.50" in minor units; it is never finer than that."""
    scaled = Decimal(text).scaleb(minor_digits(currency))
    assert scaled == int(scaled), (text, currency)
    return int(scaled)


def money(minor, currency):
    """Minor units as the API writes them; None stays None."""
    if minor is None:
        return None
    digits = minor_digits(currency)
    sign, digits_text = ("-" if minor < 0 else ""), str(abs(minor)).rjust(digits + 1, "0")
    text = digits_text if digits == 0 else f"{digits_text[:-digits]}.{digits_text[-digits:]}"
    return {"amount": sign + text, "currency": currency}
