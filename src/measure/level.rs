//! Selects the instruction set of a kernel.
//!
//! A kernel is a plain Rust function with a loop over columns that the compiler vectorises. The macro
//! compiles its body once per level. The levels differ only in the number of lanes. None of them uses a
//! fused multiply-add or reassociation, so every level gives bit-identical results. Tests run each level
//! and check this.
//!
//! To change a computation, change the body of the kernel. Code for one level only would break this
//! guarantee.

/// An instruction set that this processor supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The baseline of the target: two lanes on x86-64 and aarch64.
    Portable,
    /// Four lanes, and the bit-manipulation instructions BMI1 and BMI2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Eight lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Returns the best level of this processor, or the portable level in a build with
    /// `--cfg waywiser_portable`, which benchmarks compare. The standard library caches the detection.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if !cfg!(waywiser_portable) && has_avx2_and_bmi() {
            return if has_avx512() { Self(Kind::Avx512) } else { Self(Kind::Avx2) };
        }
        Self(Kind::Portable)
    }

    /// Returns all levels of this processor, in any build.
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

    /// Returns this level, but at most AVX2. The compiler generates slower code with AVX-512 for bodies
    /// that are not loops over lanes.
    #[cfg(feature = "_grpc")]
    #[inline]
    pub(crate) fn narrow(self) -> Self {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Kind::Avx512 {
            return Self(Kind::Avx2);
        }
        self
    }

    /// Returns whether to call the function compiled for AVX2.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn is_avx2(self) -> bool {
        self.0 == Kind::Avx2
    }

    /// Returns whether to call the function compiled for AVX-512.
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
/// defines `fn name(level: Level, arg: Type, …) -> Type`. The body must be `#[inline(always)]`;
/// otherwise it is compiled for the portable level only.
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
                    // SAFETY: the only precondition of the function is that the processor supports
                    // these instructions. `Level` has this value only if the detection found all of
                    // them.
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
