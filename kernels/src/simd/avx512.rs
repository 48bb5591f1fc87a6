use super::{EXPONENT, Operation, Simd, Tile};
use core::arch::x86_64::*;

/// Sixteen `f32` at a time, with fused multiply-add and masks.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// Runs `operation` with AVX-512 F, BW, DQ and VL enabled.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL and the system keeps their registers.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
#[inline(never)]
pub(crate) unsafe fn run<O: Operation>(operation: O) -> O::Output {
    operation.run(Avx512(()))
}

/// Register-only intrinsics, safe once their features are there.
macro_rules! avx512 {
    ($e:expr) => {
        // SAFETY: an `Avx512` is made only in `run`, whose caller has seen AVX-512.
        unsafe { $e }
    };
}

/// The first `n` lanes selected.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n.min(16)) - 1) as __mmask16
}

impl Simd for Avx512 {
    type Vector = __m512;
    type Mask = __mmask16;
    const LANES: usize = 16;
    const TILE: Tile = Tile::R6V4;
    const MASKS: bool = true;

    #[inline(always)]
    fn call<O: Operation>(self, operation: O) -> O::Output {
        // SAFETY: as for `avx512!`.
        unsafe { run(operation) }
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the caller's promise; AVX-512 as for `avx512!`.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m512 {
        // SAFETY: lanes that the mask leaves out are not read; AVX-512 as for `avx512!`.
        unsafe { _mm512_maskz_loadu_ps(first(n), p) }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: no address makes it fail; AVX-512 as for `avx512!`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    fn prefetch_l1(self, p: *const f32) {
        // SAFETY: no address makes it fail; AVX-512 as for `avx512!`.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: the caller's promise; AVX-512 as for `avx512!`.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: __m512, n: usize) {
        // SAFETY: lanes that the mask leaves out are not written; AVX-512 as for `avx512!`.
        unsafe { _mm512_mask_storeu_ps(p, first(n), v) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8, n: usize) -> __m512 {
        // SAFETY: lanes that the mask leaves out are not read; AVX-512 as for `avx512!`.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first(n), p.cast()))) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, p: *mut u8, v: __m512, n: usize) {
        // SAFETY: lanes that the mask leaves out are not written; AVX-512 as for `avx512!`.
        unsafe { _mm_mask_storeu_epi8(p.cast(), first(n), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v))) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        avx512!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        avx512!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        avx512!(_mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn pow2(self, n: __m512) -> __m512 {
        let bits = self.add(n, self.splat(EXPONENT));
        avx512!(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(bits), 23)))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn not_le(self, a: __m512, b: __m512) -> __mmask16 {
        avx512!(_mm512_cmp_ps_mask(a, b, _CMP_NLE_UQ))
    }
    #[inline(always)]
    fn eq(self, a: __m512, b: __m512) -> __mmask16 {
        avx512!(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ))
    }
    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_mask_blend_ps(mask, b, a))
    }
    #[inline(always)]
    fn reduce_add(self, v: __m512) -> f32 {
        avx512!({
            let sum8 = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
            let sum4 = _mm_add_ps(_mm256_castps256_ps128(sum8), _mm256_extractf128_ps(sum8, 1));
            let sum2 = _mm_add_ps(sum4, _mm_movehl_ps(sum4, sum4));
            _mm_cvtss_f32(_mm_add_ss(sum2, _mm_movehdup_ps(sum2)))
        })
    }
}
