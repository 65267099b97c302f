//! Which instruction set a kernel runs on.
//!
//! A kernel is one piece of plain Rust, written as a loop over columns that the compiler can
//! vectorise, and compiled once for every level: the levels differ in how many lanes work at once
//! and in nothing else. There is no fused multiply-add and no reassociation in any of them, so every
//! level gives the same bits; the tests force each level and hold that.
//!
//! The `unsafe` in this file is all there is in the crate. Advice for a change: put new arithmetic
//! into a kernel's body, never into one level of it.

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What every machine of the target has: two lanes on x86-64 and aarch64.
    Portable,
    /// Four lanes, and the bit instructions that every processor with them has.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// The best one of this machine. The detection is cached by the standard library.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if has_avx2_and_bmi() {
            return Self(Kind::Avx2);
        }
        Self(Kind::Portable)
    }

    /// All that this machine has.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut levels = vec![Self(Kind::Portable)];
        if Self::best() != levels[0] {
            levels.push(Self::best());
        }
        levels
    }

    /// Whether the machine has more than what the target promises.
    #[inline]
    pub(crate) fn has_avx2(self) -> bool {
        self != Self(Kind::Portable)
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx2_and_bmi() -> bool {
    use std::arch::is_x86_feature_detected;
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
}

/// Compiles the body of a kernel for every level: `kernel!(fn name(arg: Type, …) -> Type = body)`
/// makes `fn name(level: Level, arg: Type, …) -> Type`. The body must be `#[inline(always)]`, or it
/// would be compiled for the portable level alone.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:path) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name(level: $crate::measure::level::Level, $($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    $body($($arg),*)
                }
                if level.has_avx2() {
                    // SAFETY: the function is an ordinary one but for the instructions it may use,
                    // and a level with AVX2 comes only from `Level::best`, which has asked the
                    // processor for all three.
                    #[allow(unsafe_code)]
                    return unsafe { avx2($($arg),*) };
                }
            }
            let _ = level;
            $body($($arg),*)
        }
    };
}
pub(crate) use kernel;
