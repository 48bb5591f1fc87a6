//! The register tile of a scalar FPU, written by hand for Arm's: two positions by eight features.
//!
//! A load of several registers is one instruction. `VMLA` rounds the product and then the sum, as
//! `a * b + c` does, so that the bits are those of plain Rust. It is the fewest instructions; a
//! Cortex-M4F takes three cycles for it and one each for `VMUL` and `VADD` (Cortex-M4 Technical
//! Reference Manual, FPU instruction set), so that the feature `cortex-m4` parts them.

use core::arch::naked_asm;

/// Positions times a panel of weights. The fields' order is that of the loads below.
#[repr(C)]
pub(crate) struct Tiles {
    /// Positions yet to be done, from here to the end: where each reads and where it writes.
    pub next: *const [usize; 2],
    pub end: *const [usize; 2],
    pub input: *const f32,
    pub output: *mut f32,
    /// What the sums start from, one for each feature; null if they go on from the output.
    pub bias: *const f32,
    pub weights: *const f32,
    /// Bytes from one row of weights to the next.
    pub step: usize,
    /// Rows of the window, and products in each.
    pub rows: usize,
    pub run: usize,
    /// Bytes from the end of a row's run to the next row's, in the input and in the weights.
    pub input_skip: usize,
    pub weight_skip: usize,
}

/// The widths of panels, widest first.
pub(crate) const WIDTHS: [usize; 3] = [8, 4, 1];

impl Tiles {
    /// # Safety
    /// From where a position reads the window's rows lie inside the input, from where it writes `width`
    /// elements inside the output, and behind `weights` there are as many rows of them, each of
    /// `width` elements, as does the bias, unless it is null.
    pub unsafe fn run(mut self, width: usize) {
        // SAFETY: the caller's promise. A pair of positions is taken while there is one.
        unsafe {
            let single = self.end;
            let count = self.end.offset_from(self.next).cast_unsigned();
            self.end = self.next.add(count / 2 * 2);
            match width {
                8 => pairs_by_8(&mut self),
                4 => pairs_by_4(&mut self),
                _ => pairs_by_1(&mut self),
            }
            self.end = single;
            match width {
                8 => singles_by_8(&mut self),
                4 => singles_by_4(&mut self),
                _ => singles_by_1(&mut self),
            }
        }
    }
}

/// `sum += x * weight` for numbers of registers.
#[cfg(not(feature = "cortex-m4"))]
macro_rules! products {
    ($x:literal: $($sum:literal $weight:literal),+) => {
        concat!($("vmla.f32 s", $sum, ", s", $x, ", s", $weight, "\n"),+)
    };
}
/// In pairs, because an operation waits a cycle for the result of the one before it.
#[cfg(feature = "cortex-m4")]
macro_rules! products {
    ($x:literal: $a:literal $weight_a:literal, $b:literal $weight_b:literal $(, $($rest:tt)+)?) => {
        concat!(
            "vmul.f32 s30, s", $x, ", s", $weight_a, "\nvmul.f32 s31, s", $x, ", s", $weight_b,
            "\nvadd.f32 s", $a, ", s", $a, ", s30\nvadd.f32 s", $b, ", s", $b, ", s31\n",
            $(products!($x: $($rest)+))?
        )
    };
    ($x:literal: $sum:literal $weight:literal) => {
        concat!("vmul.f32 s30, s", $x, ", s", $weight, "\nvadd.f32 s", $sum, ", s", $sum, ", s30\n")
    };
}

/// Of the first position with `x` in that register, and of the second.
macro_rules! first {
    ($x:literal, 8) => { products!($x: 0 16, 1 17, 2 18, 3 19, 4 20, 5 21, 6 22, 7 23) };
    ($x:literal, 4) => { products!($x: 0 16, 1 17, 2 18, 3 19) };
    ($x:literal, 1) => { products!($x: 0 16) };
}
macro_rules! second {
    ($x:literal, 8) => { products!($x: 8 16, 9 17, 10 18, 11 19, 12 20, 13 21, 14 22, 15 23) };
    ($x:literal, 4) => { products!($x: 8 16, 9 17, 10 18, 11 19) };
    ($x:literal, 1) => { products!($x: 8 16) };
}

/// The register lists of weights and of each position's sums.
macro_rules! weights {
    (8) => {
        "{{s16-s23}}"
    };
    (4) => {
        "{{s16-s19}}"
    };
    (1) => {
        "{{s16}}"
    };
}
macro_rules! first_sums {
    (8) => {
        "{{s0-s7}}"
    };
    (4) => {
        "{{s0-s3}}"
    };
    (1) => {
        "{{s0}}"
    };
}
macro_rules! second_sums {
    (8) => {
        "{{s8-s15}}"
    };
    (4) => {
        "{{s8-s11}}"
    };
    (1) => {
        "{{s8}}"
    };
}

/// What both kinds of tiles begin and end with; `positions` loads offsets and turns them into addresses,
/// `on` loads `sums` from the output, `start` from the bias, `body` does `row` upon `row`.
macro_rules! tiles {
    ($name:ident, $load:expr, $resume:expr, $start:expr, $three:expr, $one:expr, $skip:expr, $store:expr) => {
        /// # Safety
        /// As [`Tiles::run`].
        #[unsafe(naked)]
        unsafe extern "C" fn $name(tiles: &mut Tiles) {
            naked_asm!(
                ".fpu fpv4-sp-d16",
                "push {{r4-r11, lr}}",
                "vpush {{s16-s31}}",
                "2:",
                "ldm r0, {{r1, r2, r3, r4}}",
                "cmp r1, r2",
                "beq 11f",
                $load,
                "str r1, [r0]",
                "add r1, r0, #20",
                "ldr r12, [r0, #16]",
                "ldm r1, {{r1, r2, r3, r4, r10, r11}}",
                // Sums start from the bias or go on from the output.
                "cmp r12, #0",
                "beq 3f",
                $start,
                "b 4f",
                "3:",
                $resume,
                "4:",
                "cmp r3, #0",
                "beq 10f",
                // A row of the window: three products at a time, then one.
                "5:",
                "subs r12, r4, #3",
                "blo 7f",
                "6:",
                $three,
                "subs r12, r12, #3",
                "bhs 6b",
                "7:",
                "adds r12, r12, #3",
                "beq 9f",
                "8:",
                $one,
                "subs r12, r12, #1",
                "bne 8b",
                "9:",
                $skip,
                "add r1, r1, r11",
                "subs r3, r3, #1",
                "bne 5b",
                "10:",
                $store,
                "b 2b",
                "11:",
                "vpop {{s16-s31}}",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

/// Reads at r5 and r7, writes at r6 and r8; weights at r1, r2 from row to row.
macro_rules! pairs {
    ($name:ident, $width:tt) => {
        tiles!(
            $name,
            "ldm r1!, {{r5, r6, r7, r8}}
            add r5, r3, r5, lsl #2
            add r7, r3, r7, lsl #2
            add r6, r4, r6, lsl #2
            add r8, r4, r8, lsl #2",
            concat!("vldm r6, ", first_sums!($width), "\n vldm r8, ", second_sums!($width)),
            concat!("vldm r12, ", first_sums!($width), "\n vldm r12, ", second_sums!($width)),
            concat!(
                "vldm r5!, {{s24-s26}}\n vldm r7!, {{s27-s29}}\n",
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(24, $width),
                second!(27, $width),
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(25, $width),
                second!(28, $width),
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(26, $width),
                second!(29, $width),
            ),
            concat!(
                "vldm r5!, {{s24}}\n vldm r7!, {{s27}}\n",
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(24, $width),
                second!(27, $width),
            ),
            "add r5, r5, r10
            add r7, r7, r10",
            concat!("vstm r6, ", first_sums!($width), "\n vstm r8, ", second_sums!($width))
        );
    };
}

/// As `pairs`, without the second position.
macro_rules! singles {
    ($name:ident, $width:tt) => {
        tiles!(
            $name,
            "ldm r1!, {{r5, r6}}
            add r5, r3, r5, lsl #2
            add r6, r4, r6, lsl #2",
            concat!("vldm r6, ", first_sums!($width)),
            concat!("vldm r12, ", first_sums!($width)),
            concat!(
                "vldm r5!, {{s24-s26}}\n",
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(24, $width),
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(25, $width),
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(26, $width),
            ),
            concat!(
                "vldm r5!, {{s24}}\n",
                concat!("vldm r1, ", weights!($width), "\n add r1, r1, r2\n"),
                first!(24, $width),
            ),
            "add r5, r5, r10",
            concat!("vstm r6, ", first_sums!($width))
        );
    };
}

pairs!(pairs_by_8, 8);
pairs!(pairs_by_4, 4);
pairs!(pairs_by_1, 1);
singles!(singles_by_8, 8);
singles!(singles_by_4, 4);
singles!(singles_by_1, 1);

/// Eight features of the outer rows of weights plus or minus the middle one: for each of `count` rows
/// from `top` on, `step` bytes apart, `top + bottom ± middle`, which lie `third` bytes behind each other.
macro_rules! outer_and_middle {
    ($name:ident, $with:literal) => {
        /// # Safety
        /// Eight elements can be read at each of the three places of each row, and as many written for
        /// each row from `output` on; `count` is not zero.
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name(
            top: *const f32,
            count: usize,
            third: usize,
            step: usize,
            output: *mut f32,
        ) {
            naked_asm!(
                ".fpu fpv4-sp-d16",
                "push {{r4, lr}}",
                "vpush {{s16-s23}}",
                "ldr r12, [sp, #40]",
                "add lr, r0, r2",
                "add r4, lr, r2",
                "2:",
                "vldm r0, {{s0-s7}}",
                "vldm r4, {{s8-s15}}",
                "vldm lr, {{s16-s23}}",
                eight!("vadd.f32", 0 8, 1 9, 2 10, 3 11, 4 12, 5 13, 6 14, 7 15),
                eight!($with, 0 16, 1 17, 2 18, 3 19, 4 20, 5 21, 6 22, 7 23),
                "vstm r12!, {{s0-s7}}",
                "add r0, r0, r3",
                "add r4, r4, r3",
                "add lr, lr, r3",
                "subs r1, r1, #1",
                "bne 2b",
                "vpop {{s16-s23}}",
                "pop {{r4, pc}}",
            )
        }
    };
}
macro_rules! eight {
    ($with:literal, $($to:literal $from:literal),+) => {
        concat!($($with, " s", $to, ", s", $to, ", s", $from, "\n"),+)
    };
}

outer_and_middle!(outer_plus_middle, "vadd.f32");
outer_and_middle!(outer_minus_middle, "vsub.f32");

/// The larger of two numbers, or a NaN that one of them is: `s1` of `s1` and one from a row.
macro_rules! larger_of_next {
    ($row:literal) => {
        concat!(
            "vldm ",
            $row,
            "!, {{s2}}\n",
            "vcmp.f32 s2, s1\n",
            "vmrs APSR_nzcv, fpscr\n",
            "it gt\n",
            "vmovgt.f32 s1, s2\n",
            "it vs\n",
            "vaddvs.f32 s1, s1, s2\n",
        )
    };
}

/// The largest of four rows' numbers and `floor`, number by number; a NaN stays one.
///
/// # Safety
/// `count` elements can be read from each of the four rows, and as many written from `output` on; `count`
/// is not zero.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn largest_of_four(
    a: *const f32,
    b: *const f32,
    c: *const f32,
    d: *const f32,
    count: usize,
    output: *mut f32,
    floor: f32,
) {
    naked_asm!(
        ".fpu fpv4-sp-d16",
        "push {{r4, lr}}",
        "ldr r12, [sp, #8]",
        "ldr r4, [sp, #12]",
        "2:",
        "vldm r0!, {{s1}}",
        larger_of_next!("r1"),
        larger_of_next!("r2"),
        larger_of_next!("r3"),
        "vcmp.f32 s1, s0",
        "vmrs APSR_nzcv, fpscr",
        "it mi",
        "vmovmi.f32 s1, s0",
        "vstm r4!, {{s1}}",
        "subs r12, r12, #1",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}
