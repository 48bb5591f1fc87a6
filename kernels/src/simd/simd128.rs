use super::{EXPONENT, Operation, Simd, Tile};
use core::arch::wasm32::*;

/// Four `f32` at a time, of WebAssembly: a product and its sum are rounded each.
#[derive(Clone, Copy)]
pub(crate) struct Simd128(());

/// Runs `operation`. A module that has these instructions runs only where there are such.
#[inline(never)]
pub(crate) fn run<O: Operation>(operation: O) -> O::Output {
    operation.run(Simd128(()))
}

impl Simd for Simd128 {
    type Vector = v128;
    type Mask = v128;
    const LANES: usize = 4;
    const TILE: Tile = Tile::R4V2;

    #[inline(always)]
    fn call<O: Operation>(self, operation: O) -> O::Output {
        run(operation)
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> v128 {
        // SAFETY: the caller's promise.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> v128 {
        // SAFETY: so many elements are read, which is the caller's promise.
        unsafe {
            match n {
                0 => f32x4_splat(0.0),
                1 => v128_load32_zero(p.cast()),
                2 => v128_load64_zero(p.cast()),
                3 => v128_load32_lane::<2>(v128_load64_zero(p.cast()), p.add(2).cast()),
                _ => v128_load(p.cast()),
            }
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: v128) {
        // SAFETY: the caller's promise.
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: v128, n: usize) {
        // SAFETY: so many elements are written, which is the caller's promise.
        unsafe {
            match n {
                0 => {}
                1 => v128_store32_lane::<0>(v, p.cast()),
                2 => v128_store64_lane::<0>(v, p.cast()),
                3 => {
                    v128_store64_lane::<0>(v, p.cast());
                    v128_store32_lane::<2>(v, p.add(2).cast());
                }
                _ => v128_store(p.cast(), v),
            }
        }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8, n: usize) -> v128 {
        let mut bytes = 0u32;
        // SAFETY: at most 4 bytes, all the caller's, into the 4 of `bytes`.
        unsafe { p.copy_to_nonoverlapping((&raw mut bytes).cast(), n.min(4)) };
        let words = u16x8_extend_low_u8x16(u32x4(bytes, 0, 0, 0));
        f32x4_convert_u32x4(u32x4_extend_low_u16x8(words))
    }
    #[inline(always)]
    unsafe fn store_u8(self, p: *mut u8, v: v128, n: usize) {
        let words = u32x4_trunc_sat_f32x4(v);
        let halves = u16x8_narrow_i32x4(words, words);
        let bytes = u32x4_extract_lane::<0>(u8x16_narrow_i16x8(halves, halves));
        // SAFETY: at most 4 bytes of the 4 of `bytes`, all the caller's.
        unsafe { (&raw const bytes).cast::<u8>().copy_to_nonoverlapping(p, n.min(4)) };
    }

    #[inline(always)]
    fn splat(self, x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn div(self, a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    fn sqrt(self, a: v128) -> v128 {
        f32x4_sqrt(a)
    }
    #[inline(always)]
    fn pow2(self, n: v128) -> v128 {
        i32x4_shl(self.add(n, self.splat(EXPONENT)), 23)
    }
    // The pseudo-maximum of (b, a) is `if b < a { a } else { b }`, one instruction on every CPU.
    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    fn not_le(self, a: v128, b: v128) -> v128 {
        v128_not(f32x4_le(a, b))
    }
    #[inline(always)]
    fn eq(self, a: v128, b: v128) -> v128 {
        f32x4_eq(a, b)
    }
    #[inline(always)]
    fn select(self, mask: v128, a: v128, b: v128) -> v128 {
        v128_bitselect(a, b, mask)
    }
    #[inline(always)]
    fn reduce_add(self, v: v128) -> f32 {
        let sum2 = f32x4_add(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
        f32x4_extract_lane::<0>(sum2) + f32x4_extract_lane::<1>(sum2)
    }
}
