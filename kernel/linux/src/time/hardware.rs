//! The requests of the real-time clock (rtc(4)).
//!
//! Source of numbers and layouts: Linux `include/uapi/linux/rtc.h`.

use super::setting::check_authority;
use crate::call::Call;
use crate::errno::{Answer, Errno};
use machine::date;
use rtc::OpenClock;

const RTC_AIE_ON: u64 = 0x7001;
const RTC_AIE_OFF: u64 = 0x7002;
const RTC_UIE_ON: u64 = 0x7003;
const RTC_UIE_OFF: u64 = 0x7004;
const RTC_ALM_SET: u64 = 0x4024_7007;
const RTC_ALM_READ: u64 = 0x8024_7008;
const RTC_RD_TIME: u64 = 0x8024_7009;
const RTC_SET_TIME: u64 = 0x4024_700a;
const RTC_WKALM_SET: u64 = 0x4028_700f;
const RTC_WKALM_RD: u64 = 0x8028_7010;

const DAY: u64 = 86_400;

/// `struct rtc_time`: second, minute, hour, day, month from 0 on, years since 1900, day of the week and of the year from 0
/// on, and whether it is summer.
type Fields = [i32; 9];

/// `struct rtc_wkalrm`: whether it is on and whether it rang, one byte each; then the time.
type Alarm = [i32; 10];

fn fields(seconds: u64) -> Fields {
    let (days, time) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = date::date(days);
    let of_year = days - date::days(year, 1, 1);
    let values = [
        time % 60,
        time / 60 % 60,
        time / 3600,
        day,
        month - 1,
        year.saturating_sub(1900),
        (days + 4) % 7,
        of_year,
        0,
    ];
    values.map(|value| i32::try_from(value).unwrap_or(0))
}

/// # Errors
/// `EINVAL`: there is no such time.
fn seconds(fields: &[i32]) -> Result<u64, Errno> {
    let fields = fields.first_chunk::<6>().ok_or(Errno::EINVAL)?;
    let number = |field: i32| u64::try_from(field).unwrap_or(u64::MAX);
    let [second, minute, hour, day, month, year] = fields.map(number);
    if day > 31 {
        return Err(Errno::EINVAL);
    }
    if second > 59 || minute > 59 || hour > 23 || month > 11 || !(70..1000).contains(&year) {
        return Err(Errno::EINVAL);
    }
    let days = date::days(year + 1900, month + 1, day);
    // A day that the month does not have is one of another month.
    if date::date(days) != (year + 1900, month + 1, day) {
        return Err(Errno::EINVAL);
    }
    Ok(days * DAY + (hour * 60 + minute) * 60 + second)
}

/// The next time at which a clock shows this time of day.
fn next(now: u64, of_day: u64) -> u64 {
    let today = now - now % DAY + of_day % DAY;
    match today > now {
        true => today,
        false => today + DAY,
    }
}

/// ioctl(2) for the clock.
///
/// # Errors
/// `ENOTTY`: not one of its requests; `EPERM`, `EINVAL`, `EFAULT`.
pub async fn request(call: &Call<'_>, clock: &OpenClock, request: u64, argument: u64) -> Answer {
    match request {
        RTC_RD_TIME => call.write(argument, &fields(clock.time())).await?,
        RTC_SET_TIME => {
            check_authority(call)?;
            let wanted: Fields = call.read(argument).await?;
            clock.set_time(seconds(&wanted)?)?;
        }
        RTC_ALM_READ => call.write(argument, &fields(clock.alarm().0)).await?,
        RTC_ALM_SET => {
            // Only the time of the day counts.
            let wanted: Fields = call.read(argument).await?;
            let [second, minute, hour, ..] = wanted;
            let of_day = seconds(&[second, minute, hour, 1, 0, 70])?;
            let on = clock.alarm().1;
            clock.set_alarm(next(clock.time(), of_day), on);
        }
        RTC_WKALM_RD => {
            let (time, on) = clock.alarm();
            let mut alarm: Alarm = [i32::from(on); 10];
            alarm[1..].copy_from_slice(&fields(time));
            call.write(argument, &alarm).await?;
        }
        RTC_WKALM_SET => {
            let [on, wanted @ ..]: Alarm = call.read(argument).await?;
            let time = seconds(&wanted)?;
            clock.set_alarm(time, on & 0xff != 0);
        }
        RTC_AIE_ON | RTC_AIE_OFF => clock.switch_alarm(request == RTC_AIE_ON),
        RTC_UIE_ON | RTC_UIE_OFF => clock.switch_seconds(request == RTC_UIE_ON),
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_known_day() {
        // 2024-02-29 23:59:58, a Thursday, the 60th day of the year.
        let leap = [58, 59, 23, 29, 1, 124, 4, 59, 0];
        assert_eq!(fields(1_709_251_198), leap);
        assert_eq!(seconds(&leap), Ok(1_709_251_198));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let good = [0, 0, 0, 1, 0, 100];
        for (place, wrong) in [
            (0, 60),
            (1, 60),
            (2, 24),
            (3, 0),
            (3, 32),
            (4, 12),
            (5, 69),
            (0, -1),
        ] {
            let mut fields = good;
            fields[place] = wrong;
            assert_eq!(seconds(&fields), Err(Errno::EINVAL), "{fields:?}");
        }
        assert_eq!(
            seconds(&[0, 0, 0, 29, 1, 123]),
            Err(Errno::EINVAL),
            "no leap year"
        );
        assert_eq!(seconds(&[0, 0, 0]), Err(Errno::EINVAL));
    }

    #[test]
    fn an_alarm_is_today_or_tomorrow() {
        assert_eq!(next(10 * DAY + 100, 101), 10 * DAY + 101);
        assert_eq!(next(10 * DAY + 100, 100), 11 * DAY + 100);
        assert_eq!(next(10 * DAY + 100, 3), 11 * DAY + 3);
    }

    proptest! {
        #[test]
        fn both_ways_fit(time in 0u64..20_000_000_000) {
            prop_assert_eq!(seconds(&fields(time)), Ok(time));
        }
    }
}
