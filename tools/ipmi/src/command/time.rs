//! IPMI timestamps as ipmitool writes them (lib/ipmi_time.c).

/// Below this, seconds since the system started; above, since 1970 (IPMI v2.0 §37.1).
const EPOCHAL: u32 = 0x2000_0000;

/// Year, month 1..=12, day 1..=31 of a count of days since 1970.
pub(super) fn date(days: i64) -> (i64, u32, u32) {
    // Days are counted from a first of March, so that leap days come last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

/// `HH:MM:SS`.
pub(super) fn clock(seconds: u32) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// `MM/DD/YYYY`.
pub(super) fn calendar(seconds: u32) -> String {
    let (year, month, day) = date(i64::from(seconds) / 86_400);
    format!("{month:02}/{day:02}/{year:04}")
}

/// Whether a timestamp counts from the start of the system.
pub(super) fn since_start(seconds: u32) -> bool {
    seconds < EPOCHAL
}

/// Date and time, or `S+ …` since the start of the system.
pub(super) fn text(seconds: u32) -> String {
    if seconds == u32::MAX {
        "Unspecified".to_owned()
    } else if since_start(seconds) {
        format!("S+ {}", clock(seconds))
    } else {
        format!("{} {} UTC", calendar(seconds), clock(seconds))
    }
}

/// `Sun Jan 28 09:36:00 2018 UTC`.
pub(super) fn long(seconds: u32) -> String {
    let days = i64::from(seconds) / 86_400;
    let (year, month, day) = date(days);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let weekday = weekday.get((days % 7) as usize).copied().unwrap_or_default();
    let month = months.get(month as usize - 1).copied().unwrap_or_default();
    format!("{weekday} {month} {day:2} {} {year} UTC", clock(seconds))
}

/// Seconds since 1970, now.
#[expect(clippy::disallowed_methods, reason = "the tool reads the clock")]
pub(super) fn now() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(u32::MAX - 1))
}

/// `mm/dd/yyyy hh:mm:ss` or `mm/dd/yy hh:mm:ss`, in UTC.
pub(super) fn parse(text: &str) -> Option<u32> {
    let (day, clock) = text.trim().split_once(' ')?;
    let numbers = |text: &str, by: char| -> Option<Vec<u32>> {
        text.split(by).map(|n| n.trim().parse().ok()).collect()
    };
    let ([month, day, year], [hour, minute, second]) =
        (*numbers(day, '/')?.first_chunk()?, *numbers(clock, ':')?.first_chunk()?);
    let year = if year < 69 {
        2000 + year
    } else if year < 100 {
        1900 + year
    } else {
        year
    };
    if !(1970..2106).contains(&year) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // The year begins about here; the day is found by walking.
    let start = (i64::from(year) - 1970) * 365;
    let found = (start..start + 400).find(|days| date(*days) == (i64::from(year), month, day))?;
    u32::try_from(found * 86_400 + i64::from(hour * 3600 + minute * 60 + second)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(long(1_517_132_160), "Sun Jan 28 09:36:00 2018 UTC");
        assert_eq!(calendar(1_709_164_800), "02/29/2024");
        assert_eq!(text(4076), "S+ 01:07:56");
        assert_eq!(parse("01/28/2018 09:36:00"), Some(1_517_132_160));
        assert_eq!(parse("02/29/24 00:00:00"), Some(1_709_164_800));
        assert_eq!((parse("02/30/2024 00:00:00"), parse("foo")), (None, None));
    }
}
