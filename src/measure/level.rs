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
    /// Eight lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The best one of this machine; the portable one in a build with `--cfg waywiser_portable`, by which
    /// the benches tell what it costs. The detection is cached by the standard library.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if !cfg!(waywiser_portable) && has_avx2_and_bmi() {
            return if has_avx512() { Self(Kind::Avx512) } else { Self(Kind::Avx2) };
        }
        Self(Kind::Portable)
    }

    /// All that this machine has, in any build.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut levels = vec![Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = has_avx2_and_bmi();
            levels.extend(has_avx2.then_some(Self(Kind::Avx2)));
            levels.extend((has_avx2 && has_avx512()).then_some(Self(Kind::Avx512)));
        }
        levels
    }

    /// This level, but no wider than AVX2: for bodies that are not loops over lanes, which the
    /// compiler turns into slower code when it has the wide registers.
    #[cfg(feature = "_grpc")]
    #[inline]
    pub(crate) fn narrow(self) -> Self {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Kind::Avx512 {
            return Self(Kind::Avx2);
        }
        self
    }

    /// Whether to take the code for AVX2.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn is_avx2(self) -> bool {
        self.0 == Kind::Avx2
    }

    /// Whether to take the code for AVX-512.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn is_avx512(self) -> bool {
        self.0 == Kind::Avx512
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

#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx512() -> bool {
    use std::arch::is_x86_feature_detected;
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
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
                #[target_feature(enable = "avx2,bmi1,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    $body($($arg),*)
                }
                if level.is_avx512() {
                    // SAFETY: the function is an ordinary one but for the instructions it may use,
                    // and this level comes only from here, where the processor was asked for all
                    // of them.
                    #[allow(unsafe_code)]
                    return unsafe { avx512($($arg),*) };
                }
                if level.is_avx2() {
                    // SAFETY: as above.
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
