//! Overflows the stack by a little: that ends the program, and never spoils what it computes.
#![no_std]
#![no_main]

use bantam_kernels::Error;
use core::hint::black_box;
use firmware::println;

firmware::program!(overflow);

/// As many words as the stack has, without what is in use.
const WORDS: usize = 16 * 1024 / 4;

/// Counts ones that it has written. Nothing is called while they are there: no return address is below
/// the stack, where it would be lost and so a fault.
#[inline(never)]
fn ones() -> u32 {
    let mut words = [1; WORDS];
    black_box(&mut words).iter().sum()
}

fn overflow() -> Result<bool, Error> {
    println!("the stack did not overflow: {} of {WORDS} words are as written", ones());
    Ok(true)
}
