//! No bytes in flash make the reader of slots panic, or give weights of another number than the model has.
#![no_main]

use bantam::{Isa, Loss, Sequential, Sgd, Slots, Trainer, TrainingSession};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use libfuzzer_sys::fuzz_target;

const SECTOR: usize = 64;
const SLOT: usize = 2 * SECTOR;

struct Flash([u8; 2 * SLOT]);

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }
    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.0[from as usize..to as usize].fill(0xff);
        Ok(())
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

// Pairs of a place and a byte that is written there, over two good versions.
fuzz_target!(|patches: &[u8]| {
    let model = Sequential::new([3]).dense(2).build(1).expect("shapes fit");
    let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(1).isa(Isa::SCALAR);
    let mut session = TrainingSession::new(&trainer, &model).expect("layers are trainable");
    let all = 0..2 * SLOT as u32;
    let mut slots = Slots::new(Flash([0xff; 2 * SLOT]), all.clone()).expect("whole sectors");
    for version in 1..3 {
        assert_eq!(slots.save(&session), Ok(version));
    }
    let mut flash = slots.into_flash();
    for patch in patches.chunks_exact(2) {
        flash.0[usize::from(patch[0])] = patch[1];
    }
    let mut slots = Slots::new(Flash(flash.0), all.clone()).expect("whole sectors");
    let _ = slots.load(&mut session);
    // As a fuzzer does not guess a checksum, it is put right, so that the rest is reached.
    flash.0.chunks_exact_mut(SLOT).for_each(put_checksum_right);
    let mut slots = Slots::new(flash, all).expect("whole sectors");
    let _ = slots.load(&mut session);
    let _ = slots.save(&session);
    assert_eq!(session.weights().map(|(.., values)| values.len()).sum::<usize>(), 8);
});

fn put_checksum_right(slot: &mut [u8]) {
    let (header, weights) = slot.split_at_mut(32);
    let len = u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize;
    let Some(weights) = weights.get(..len) else { return };
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for part in [&header[..24], weights] {
        let words = part.chunks_exact(8);
        let rest = words.remainder();
        let step = |state: u64, word: u64| (state ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        state = words
            .fold(state, |state, word| step(state, u64::from_le_bytes(word.try_into().expect("8 bytes"))));
        state = rest.iter().fold(state, |state, &byte| step(state, byte.into()));
    }
    header[24..].copy_from_slice(&state.to_le_bytes());
}
