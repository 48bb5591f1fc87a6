//! One trait over vectors of `f32`, one file an instruction set.
//!
//! A kernel is written once as an [`Operation`], generic over [`Simd`]; [`Isa::run`](crate::Isa)
//! enables the CPU's features around it. Everything here is `#[inline(always)]` so that it
//! compiles inside that one wrapper. Bodies avoid closures, which would escape it. The traits are `pub` because a
//! public trait's sealed part names them; this module is not.

pub(crate) mod exp;
mod scalar;
pub(crate) use scalar::Scalar;

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
pub(crate) mod vfp;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) mod simd128;

/// No larger number counts as zero where subnormal numbers, which many CPUs are slow with, are kept from
/// arising: 2⁻¹⁰⁰.
pub(crate) const LEAST: f32 = 1.0 / (1u128 << 100) as f32;

/// 2²³ + 127: the last bits of its sum with a whole number `n` are `n + 127`, the exponent of 2ⁿ.
const EXPONENT: f32 = 8_388_608.0 + 127.0;

/// Work that runs on any instruction set. `run` must be `#[inline(always)]`.
pub trait Operation {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A register tile: accumulators for `rows` (pixels, or rows of a weight gradient) times `vectors`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each family of CPUs has its own")]
pub enum Tile {
    /// Sixteen registers of which two stay free: AVX2.
    R6V2,
    /// Thirty-two registers of the widest vectors: AVX-512.
    R6V4,
    /// Thirty-two registers, of which five hold four inputs each: NEON.
    R5V4,
    /// Sixteen registers where a product takes one before it is added: WebAssembly on x86-64.
    R4V2,
    /// Thirty-two single registers of a scalar FPU.
    R4V4,
}

impl Tile {
    /// Vectors of the widest panel.
    #[allow(dead_code, reason = "Arm's scalar FPU has panels of its own")]
    pub const fn vectors(self) -> usize {
        match self {
            Tile::R6V2 | Tile::R4V2 => 2,
            Tile::R5V4 | Tile::R6V4 | Tile::R4V4 => 4,
        }
    }
}

/// A token of an instruction set and the vector operations that it gives.
///
/// A value can only be obtained inside [`Isa::run`](crate::Isa), so everything but memory access is
/// safe. Where `n` says how many elements to load or store, memory past them is not touched.
pub trait Simd: Copy {
    type Vector: Copy;
    type Mask: Copy;
    /// `f32`s in a vector.
    const LANES: usize;
    /// The register tile for products.
    const TILE: Tile;
    /// Whether a product takes any lane of a register, so that one load serves four products.
    const PRODUCTS_BY_LANE: bool = false;

    /// Whether one instruction loads or stores part of a vector, if there are parts.
    const MASKS: bool = false;

    /// Runs `operation` in a function of its own: compiled once for all who call it, and small enough
    /// that the compiler is not slow.
    fn call<O: Operation>(self, operation: O) -> O::Output;

    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load(self, p: *const f32) -> Self::Vector;
    /// The first `n` elements; the other lanes are zero.
    /// # Safety
    /// `p` is valid for reading `n <= LANES` elements.
    unsafe fn load_n(self, p: *const f32, n: usize) -> Self::Vector;
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store(self, p: *mut f32, v: Self::Vector);
    /// # Safety
    /// `p` is valid for writing `n <= LANES` elements.
    unsafe fn store_n(self, p: *mut f32, v: Self::Vector, n: usize);
    /// Bytes as numbers 0 to 255; lanes from `n` on are zero.
    /// # Safety
    /// `p` is valid for reading `n <= LANES` bytes.
    unsafe fn load_u8(self, p: *const u8, n: usize) -> Self::Vector;
    /// Whole numbers from 0 to 255 as bytes.
    /// # Safety
    /// `p` is valid for writing `n <= LANES` bytes.
    unsafe fn store_u8(self, p: *mut u8, v: Self::Vector, n: usize);

    /// Asks for the cache line at `p`, which need not be valid, in the second-level cache.
    fn prefetch(self, _p: *const f32) {}
    /// The same in the first-level cache.
    #[allow(dead_code, reason = "Arm's scalar FPU has pools of its own")]
    fn prefetch_l1(self, _p: *const f32) {}

    fn splat(self, x: f32) -> Self::Vector;
    /// Lane `L` in all lanes, where there are [`PRODUCTS_BY_LANE`](Self::PRODUCTS_BY_LANE).
    fn splat_lane<const L: i32>(self, _: Self::Vector) -> Self::Vector {
        unreachable!()
    }
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, fused where that is one instruction.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    fn sqrt(self, a: Self::Vector) -> Self::Vector;
    /// 2ⁿ for whole numbers `n` from -126 to 127; 0 for -127 and infinity for 128.
    fn pow2(self, n: Self::Vector) -> Self::Vector;
    /// The larger of the two. A NaN in `b` gives NaN; one in `a` may be lost.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger of the two; NaN if either is.
    #[inline(always)]
    fn max_or_nan(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.select(self.eq(a, a), self.max(a, b), a)
    }
    /// The smaller of the two. A NaN in `b` gives NaN; one in `a` may be lost.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The nearest number from `least` to `most`; NaN stays.
    #[inline(always)]
    fn clamp(self, [least, most]: [f32; 2], v: Self::Vector) -> Self::Vector {
        self.min(self.splat(most), self.max(self.splat(least), v))
    }
    /// Where `a > b` or either is NaN.
    fn not_le(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// Where `a == b`; a NaN equals nothing.
    fn eq(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Zero in place of what is no larger than `least`, whatever its sign; NaN stays.
    #[inline(always)]
    fn flush(self, v: Self::Vector, least: Self::Vector) -> Self::Vector {
        let zero = self.splat(0.0);
        let size = self.max(self.sub(zero, v), v);
        self.select(self.not_le(size, least), v, zero)
    }
    /// The sum of the lanes, halves first: a fixed order.
    fn reduce_add(self, v: Self::Vector) -> f32;
}
