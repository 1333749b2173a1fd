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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(long(1_517_132_160), "Sun Jan 28 09:36:00 2018 UTC");
        assert_eq!(calendar(1_709_164_800), "02/29/2024");
        assert_eq!(text(4076), "S+ 01:07:56");
    }
}
