use super::{EXPONENT, Operation, Simd, Tile};

/// One `f32` at a time.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

impl Simd for Scalar {
    type Vector = f32;
    type Mask = bool;
    const LANES: usize = 1;
    const TILE: Tile = Tile::R4V4;
    const MASKS: bool = true;

    #[inline(never)]
    fn call<O: Operation>(self, operation: O) -> O::Output {
        operation.run(self)
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { p.read() }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> f32 {
        // SAFETY: the caller's promise.
        if n == 0 { 0.0 } else { unsafe { p.read() } }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: f32) {
        // SAFETY: the caller's promise.
        unsafe { p.write(v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: f32, n: usize) {
        if n > 0 {
            // SAFETY: the caller's promise.
            unsafe { p.write(v) }
        }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8, n: usize) -> f32 {
        // SAFETY: the caller's promise.
        if n == 0 { 0.0 } else { f32::from(unsafe { p.read() }) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, p: *mut u8, v: f32, n: usize) {
        if n > 0 {
            // SAFETY: the caller's promise.
            unsafe { p.write(v as u8) }
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        // A fused one would be a call into software on most chips.
        a * b + c
    }
    #[inline(always)]
    fn sqrt(self, a: f32) -> f32 {
        libm::sqrtf(a)
    }
    #[inline(always)]
    fn pow2(self, n: f32) -> f32 {
        f32::from_bits((n + EXPONENT).to_bits() << 23)
    }
    #[inline(always)]
    fn max(self, a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }
    #[inline(always)]
    fn max_or_nan(self, a: f32, b: f32) -> f32 {
        // One comparison serves both questions.
        let larger = if a > b { a } else { b };
        if a.partial_cmp(&b).is_none() { a + b } else { larger }
    }
    #[inline(always)]
    fn min(self, a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }
    #[inline(always)]
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "true where either is NaN")]
    fn not_le(self, a: f32, b: f32) -> bool {
        !(a <= b)
    }
    #[inline(always)]
    fn eq(self, a: f32, b: f32) -> bool {
        a == b
    }
    #[inline(always)]
    fn select(self, mask: bool, a: f32, b: f32) -> f32 {
        if mask { a } else { b }
    }
    #[inline(always)]
    fn reduce_add(self, v: f32) -> f32 {
        v
    }
}
