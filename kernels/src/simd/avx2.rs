use super::{EXPONENT, Operation, Simd, Tile};
use core::arch::x86_64::*;

/// Eight `f32` at a time, with fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Runs `operation` with AVX2 and FMA enabled.
///
/// # Safety
/// The CPU has AVX2 and FMA and the system keeps their registers.
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
pub(crate) unsafe fn run<O: Operation>(operation: O) -> O::Output {
    operation.run(Avx2(()))
}

/// Register-only intrinsics, safe once their features are there.
macro_rules! avx2 {
    ($e:expr) => {
        // SAFETY: an `Avx2` is made only in `run`, whose caller has seen AVX2 and FMA.
        unsafe { $e }
    };
}

/// The first `n` lanes selected, for masked loads and stores.
#[inline(always)]
fn first(n: usize) -> __m256i {
    static ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: 8 elements from index 8 - n, n at most 8, lie in the array; AVX2 as for `avx2!`.
    unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - n.min(8)).cast()) }
}

impl Simd for Avx2 {
    type Vector = __m256;
    type Mask = __m256;
    const LANES: usize = 8;
    const TILE: Tile = Tile::R6V2;
    const MASKS: bool = true;

    #[inline(always)]
    fn call<O: Operation>(self, operation: O) -> O::Output {
        // SAFETY: as for `avx2!`.
        unsafe { run(operation) }
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the caller's promise; AVX2 as for `avx2!`.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m256 {
        // SAFETY: lanes that the mask leaves out are not read; AVX2 as for `avx2!`.
        unsafe { _mm256_maskload_ps(p, first(n)) }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: no address makes it fail; AVX2 as for `avx2!`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: the caller's promise; AVX2 as for `avx2!`.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: __m256, n: usize) {
        // SAFETY: lanes that the mask leaves out are not written; AVX2 as for `avx2!`.
        unsafe { _mm256_maskstore_ps(p, first(n), v) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8, n: usize) -> __m256 {
        let mut bytes = 0u64;
        // SAFETY: at most 8 bytes, all the caller's, into the 8 of `bytes`; AVX2 as for `avx2!`.
        unsafe {
            p.copy_to_nonoverlapping((&raw mut bytes).cast(), n.min(8));
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes.cast_signed())))
        }
    }
    #[inline(always)]
    unsafe fn store_u8(self, p: *mut u8, v: __m256, n: usize) {
        // SAFETY: at most 8 bytes of the 8 of `bytes`, all the caller's; AVX2 as for `avx2!`.
        unsafe {
            let words = _mm256_cvtps_epi32(v);
            let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
            let halves = _mm_packus_epi32(low, high);
            let bytes = _mm_cvtsi128_si64(_mm_packus_epi16(halves, halves));
            (&raw const bytes).cast::<u8>().copy_to_nonoverlapping(p, n.min(8));
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        avx2!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        avx2!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        avx2!(_mm256_sqrt_ps(a))
    }
    #[inline(always)]
    fn pow2(self, n: __m256) -> __m256 {
        let bits = self.add(n, self.splat(EXPONENT));
        avx2!(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(bits), 23)))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn not_le(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_cmp_ps(a, b, _CMP_NLE_UQ))
    }
    #[inline(always)]
    fn eq(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_cmp_ps(a, b, _CMP_EQ_OQ))
    }
    #[inline(always)]
    fn select(self, mask: __m256, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_blendv_ps(b, a, mask))
    }
    #[inline(always)]
    fn reduce_add(self, v: __m256) -> f32 {
        avx2!({
            let sum4 = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
            let sum2 = _mm_add_ps(sum4, _mm_movehl_ps(sum4, sum4));
            _mm_cvtss_f32(_mm_add_ss(sum2, _mm_movehdup_ps(sum2)))
        })
    }
}
