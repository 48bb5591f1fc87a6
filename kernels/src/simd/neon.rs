use super::{EXPONENT, Operation, Simd, Tile};
use core::arch::aarch64::*;

/// Four `f32` at a time, with fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

/// Runs `operation` with NEON enabled.
///
/// # Safety
/// The CPU has NEON and its registers are switched on.
#[target_feature(enable = "neon")]
#[inline(never)]
pub(crate) unsafe fn run<O: Operation>(operation: O) -> O::Output {
    operation.run(Neon(()))
}

/// Register-only intrinsics, safe once their features are there.
macro_rules! neon {
    ($e:expr) => {
        // SAFETY: a `Neon` is made only in `run`, whose caller has seen NEON.
        unsafe { $e }
    };
}

impl Simd for Neon {
    type Vector = float32x4_t;
    type Mask = uint32x4_t;
    const LANES: usize = 4;
    const TILE: Tile = Tile::R5V4;
    const PRODUCTS_BY_LANE: bool = true;

    #[inline(always)]
    fn call<O: Operation>(self, operation: O) -> O::Output {
        // SAFETY: as for `neon!`.
        unsafe { run(operation) }
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> float32x4_t {
        // SAFETY: the caller's promise; NEON as for `neon!`.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> float32x4_t {
        if n == 4 {
            // SAFETY: the caller's promise.
            return unsafe { self.load(p) };
        }
        // SAFETY: the caller's promise for `n` elements, of which so many are read; NEON as for `neon!`.
        unsafe {
            match n {
                0 => vdupq_n_f32(0.0),
                1 => vld1q_lane_f32::<0>(p, vdupq_n_f32(0.0)),
                2 => vcombine_f32(vld1_f32(p), vdup_n_f32(0.0)),
                _ => vld1q_lane_f32::<2>(p.add(2), vcombine_f32(vld1_f32(p), vdup_n_f32(0.0))),
            }
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: float32x4_t) {
        // SAFETY: the caller's promise; NEON as for `neon!`.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: float32x4_t, n: usize) {
        if n == 4 {
            // SAFETY: the caller's promise.
            return unsafe { self.store(p, v) };
        }
        // SAFETY: the caller's promise for `n` elements, of which so many are written; NEON as for `neon!`.
        unsafe {
            match n {
                0 => {}
                1 => vst1q_lane_f32::<0>(p, v),
                2 => vst1_f32(p, vget_low_f32(v)),
                _ => {
                    vst1_f32(p, vget_low_f32(v));
                    vst1q_lane_f32::<2>(p.add(2), v);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8, n: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: `i` is below `n`, the caller's promise.
            *lane = f32::from(unsafe { p.add(i).read() });
        }
        // SAFETY: 4 elements of `lanes`; NEON as for `neon!`.
        unsafe { vld1q_f32(lanes.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, p: *mut u8, v: float32x4_t, n: usize) {
        let mut lanes = [0u32; 4];
        // SAFETY: 4 elements of `lanes`; NEON as for `neon!`.
        unsafe { vst1q_u32(lanes.as_mut_ptr(), vcvtq_u32_f32(v)) };
        for (i, &lane) in lanes.iter().enumerate().take(n) {
            // SAFETY: `i` is below `n`, the caller's promise.
            unsafe { p.add(i).write(lane as u8) };
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        neon!(vdupq_n_f32(x))
    }
    #[inline(always)]
    fn splat_lane<const L: i32>(self, v: float32x4_t) -> float32x4_t {
        neon!(vdupq_laneq_f32::<L>(v))
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vmulq_f32(a, b))
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vdivq_f32(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        neon!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: float32x4_t) -> float32x4_t {
        neon!(vsqrtq_f32(a))
    }
    #[inline(always)]
    fn pow2(self, n: float32x4_t) -> float32x4_t {
        let bits = self.add(n, self.splat(EXPONENT));
        neon!(vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(bits))))
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vmaxq_f32(a, b))
    }
    #[inline(always)]
    fn max_or_nan(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // NaN if either is, which on other CPUs takes more.
        self.max(a, b)
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vminq_f32(a, b))
    }
    #[inline(always)]
    fn not_le(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        neon!(vmvnq_u32(vcleq_f32(a, b)))
    }
    #[inline(always)]
    fn eq(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        neon!(vceqq_f32(a, b))
    }
    #[inline(always)]
    fn select(self, mask: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        neon!(vbslq_f32(mask, a, b))
    }
    #[inline(always)]
    fn reduce_add(self, v: float32x4_t) -> f32 {
        neon!({
            let sum2 = vadd_f32(vget_low_f32(v), vget_high_f32(v));
            vget_lane_f32::<0>(sum2) + vget_lane_f32::<1>(sum2)
        })
    }
}
