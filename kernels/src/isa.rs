use crate::simd::{Operation, Scalar, Simd};
use core::fmt;

/// An instruction set that this CPU has been seen to have.
///
/// A value exists only where its instructions run, so a kernel that is given one may use them.
/// Find it once and pass it on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(Level);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

const LEVELS: &[Level] = &[
    Level::Scalar,
    #[cfg(target_arch = "x86_64")]
    Level::Avx2,
    #[cfg(target_arch = "x86_64")]
    Level::Avx512,
    #[cfg(target_arch = "aarch64")]
    Level::Neon,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Level::Simd128,
];

impl Isa {
    /// Plain Rust, which every CPU runs.
    pub const SCALAR: Isa = Isa(Level::Scalar);

    /// The widest instruction set of this CPU. Needs neither `std` nor an operating system.
    pub fn detect() -> Isa {
        Isa::available().last().unwrap_or(Isa::SCALAR)
    }

    /// Every instruction set of this CPU, narrowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        LEVELS.iter().filter(|level| level.is_present()).map(|&level| Isa(level))
    }

    /// The instruction set of that name, if this CPU has it.
    ///
    /// ```
    /// use bantam_kernels::Isa;
    /// assert_eq!(Isa::named("scalar"), Some(Isa::SCALAR));
    /// assert_eq!(Isa::named("mmx"), None);
    /// ```
    pub fn named(name: &str) -> Option<Isa> {
        Isa::available().find(|isa| isa.name() == name)
    }

    /// `"scalar"`, `"avx2"`, `"avx512"`, `"neon"` or `"simd128"`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => "simd128",
        }
    }

    /// Runs `operation` with this instruction set enabled.
    #[inline]
    pub(crate) fn run<O: Operation>(self, operation: O) -> O::Output {
        match self.0 {
            Level::Scalar => operation.run(Scalar),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this level exists only if `is_present` saw AVX2 and FMA.
            Level::Avx2 => unsafe { crate::simd::avx2::run(operation) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this level exists only if `is_present` saw AVX-512.
            Level::Avx512 => unsafe { crate::simd::avx512::run(operation) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: an `Isa` of this level exists only if `is_present` saw NEON.
            Level::Neon => unsafe { crate::simd::neon::run(operation) },
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => crate::simd::simd128::run(operation),
        }
    }

    /// As [`run`](Self::run), if this instruction set has vectors: of the operation no scalar code is made.
    #[inline]
    pub(crate) fn run_with_vectors<O: Operation>(self, operation: O) -> Option<O::Output> {
        self.run(WithVectors(operation))
    }
}

struct WithVectors<O>(O);

impl<O: Operation> Operation for WithVectors<O> {
    type Output = Option<O::Output>;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Option<O::Output> {
        if const { S::LANES > 1 } { Some(self.0.run(simd)) } else { None }
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Level {
    fn is_present(self) -> bool {
        match self {
            Level::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86_64_level() >= Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86_64_level() >= Level::Avx512,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => cfg!(target_feature = "neon"),
            // WebAssembly detects nothing: such a module loads only where all its instructions run.
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => true,
        }
    }
}

/// Intel SDM vol. 1, 14.7.1 and 15.2: the CPU must have the instructions and the system must keep
/// the registers.
#[cfg(target_arch = "x86_64")]
fn x86_64_level() -> Level {
    use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    #[target_feature(enable = "xsave")]
    fn saved_registers() -> u64 {
        // SAFETY: XCR0 exists wherever XGETBV does, which the caller has seen.
        unsafe { _xgetbv(0) }
    }

    const FMA_OSXSAVE_AVX: u32 = 1 << 12 | 1 << 27 | 1 << 28;
    const AVX2: u32 = 1 << 5;
    const AVX512_F_DQ_BW_VL: u32 = 1 << 16 | 1 << 17 | 1 << 30 | 1 << 31;
    const XMM_AND_YMM: u64 = 0b110;
    const MASKS_AND_ZMM: u64 = 0b1110_0000;

    if __cpuid(0).eax < 7 || __cpuid(1).ecx & FMA_OSXSAVE_AVX != FMA_OSXSAVE_AVX {
        return Level::Scalar;
    }
    let features = __cpuid_count(7, 0).ebx;
    // SAFETY: OSXSAVE says that XGETBV may be executed.
    let saved = unsafe { saved_registers() };
    if features & AVX2 == 0 || saved & XMM_AND_YMM != XMM_AND_YMM {
        Level::Scalar
    } else if features & AVX512_F_DQ_BW_VL != AVX512_F_DQ_BW_VL || saved & MASKS_AND_ZMM != MASKS_AND_ZMM {
        Level::Avx2
    } else {
        Level::Avx512
    }
}
