//! From niceness to weight.

/// The weight of niceness 0.
pub const NORMAL_WEIGHT: u32 = 1024;

/// One step of niceness is a factor of about 1.25, so that two tasks one step apart share a CPU about 55 to 45.
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87,
    70, 56, 45, 36, 29, 23, 18, 15,
];

/// The weight of a niceness; values outside −20..=19 count as the nearest.
pub const fn weight_of_nice(nice: i8) -> u32 {
    let index = if nice < -20 {
        0
    } else if nice > 19 {
        39
    } else {
        nice + 20
    };
    WEIGHTS[index as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_about_a_quarter() {
        assert_eq!(weight_of_nice(0), NORMAL_WEIGHT);
        assert_eq!(weight_of_nice(-128), weight_of_nice(-20));
        assert_eq!(weight_of_nice(127), weight_of_nice(19));
        for nice in -20..19 {
            let ratio = f64::from(weight_of_nice(nice)) / f64::from(weight_of_nice(nice + 1));
            assert!((1.18..1.32).contains(&ratio), "{nice}: {ratio}");
        }
    }
}
