//! What was learnt survives: wherever the power goes, one whole version is there.

use bantam::{Error, Isa, Loss, Model, Sequential, Sgd, Slots, Trainer, TrainingSession};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

const SECTOR: usize = 128;

/// Flash that can only clear bits of what is erased, and loses its power after so many bytes.
#[derive(Clone)]
struct Flash<const WRITE: usize> {
    bytes: Vec<u8>,
    power: usize,
}

#[derive(Debug)]
struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const WRITE: usize> Flash<WRITE> {
    fn new(len: usize) -> Self {
        Flash { bytes: vec![0xff; len], power: usize::MAX }
    }

    /// How much of so many bytes is done before the power goes.
    fn spend(&mut self, bytes: usize) -> (usize, Result<(), NoPower>) {
        let done = bytes.min(self.power);
        self.power -= done;
        (done, if done < bytes { Err(NoPower) } else { Ok(()) })
    }
}

impl<const WRITE: usize> ErrorType for Flash<WRITE> {
    type Error = NoPower;
}

impl<const WRITE: usize> ReadNorFlash for Flash<WRITE> {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }
    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize> NorFlash for Flash<WRITE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = SECTOR;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        assert!((from as usize).is_multiple_of(SECTOR) && (to as usize).is_multiple_of(SECTOR));
        let (done, result) = self.spend((to - from) as usize);
        self.bytes[from as usize..][..done].fill(0xff);
        result
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        assert!((offset as usize).is_multiple_of(WRITE) && bytes.len().is_multiple_of(WRITE));
        let (done, result) = self.spend(bytes.len());
        for (cell, byte) in self.bytes[offset as usize..].iter_mut().zip(&bytes[..done]) {
            assert!(*cell == 0xff, "written twice without an erase");
            *cell = *byte;
        }
        result
    }
}

fn model(seed: u64) -> Model<'static> {
    let net = Sequential::new([6, 6, 1]).conv2d(3, 3).relu().max_pool2d(2).flatten();
    let mut model = net.dense(5).relu().dense(3).build(seed).unwrap();
    model.set_trainable("conv2d", false).unwrap();
    model
}

fn trainer() -> Trainer {
    let sgd = Sgd { rate: 0.1, ..Sgd::default() };
    Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(2).isa(Isa::SCALAR)
}

fn session<'m>(model: &'m Model<'m>, steps: usize) -> TrainingSession<'m> {
    let mut session = TrainingSession::new(&trainer(), model).unwrap();
    let inputs: Vec<f32> = (0..72).map(|i| (i % 7) as f32 / 7.0).collect();
    for _ in 0..steps {
        session.step(&inputs, &[0.0, 2.0]).unwrap();
    }
    session
}

const FLASH: usize = 8 * SECTOR;

#[test]
fn versions_take_turns() {
    let model = model(1);
    let mut slots = Slots::new(Flash::<4>::new(FLASH), 0..FLASH as u32).unwrap();
    let mut fresh = session(&model, 0);
    assert_eq!(slots.load(&mut fresh), Ok(None));
    for version in 1..6 {
        let learnt = session(&model, version as usize);
        assert_eq!(slots.save(&learnt), Ok(version));
        assert_eq!(slots.version(&learnt), Ok(Some(version)));
        let mut again = session(&model, 0);
        assert_eq!(slots.load(&mut again), Ok(Some(version)));
        assert!(again.to_model() == learnt.to_model());
    }
}

fn cut_everywhere<const WRITE: usize>() {
    let model = model(1);
    let [old, new] = [1, 2].map(|steps| session(&model, steps));
    for saved_before in [0, 1, 2] {
        let mut slots = Slots::new(Flash::<WRITE>::new(FLASH), 0..FLASH as u32).unwrap();
        (0..saved_before).for_each(|_| assert!(slots.save(&old).is_ok()));
        let before = slots.into_flash();
        let mut cuts = 0;
        for power in 0.. {
            let mut slots = Slots::new(Flash { power, ..before.clone() }, 0..FLASH as u32).unwrap();
            let saved = slots.save(&new);
            let after = Flash::<WRITE> { power: usize::MAX, ..slots.into_flash() };
            let mut slots = Slots::new(after, 0..FLASH as u32).unwrap();
            let mut loaded = session(&model, 0);
            let version = slots.load(&mut loaded).unwrap();
            if saved.is_ok() {
                assert_eq!(version, Some(saved_before + 1));
                assert!(loaded.to_model() == new.to_model());
                break;
            }
            assert_eq!(version, Some(saved_before).filter(|&version| version > 0));
            assert!(saved_before == 0 || loaded.to_model() == old.to_model());
            // And it can be saved again.
            assert_eq!(slots.save(&new), Ok(saved_before + 1));
            cuts += 1;
        }
        assert!(cuts > 400, "{cuts}");
    }
}

#[test]
fn a_cut_at_any_byte_leaves_a_whole_version() {
    cut_everywhere::<1>();
    cut_everywhere::<4>();
    cut_everywhere::<32>();
}

#[test]
fn moving_statistics_are_kept_with_what_is_learnt() {
    let model = Sequential::new([3]).dense(4).batch_normalization().dense(2).build(1).unwrap();
    let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(2);
    let mut learnt = TrainingSession::new(&trainer, &model).unwrap();
    learnt.step(&[0.1, 0.9, -0.4, 0.3, -0.8, 0.7], &[0.0, 1.0]).unwrap();
    let after = learnt.to_model();
    let [before, moved] = [&model, &after].map(|model| model.weights("batch_normalization").unwrap());
    assert!((0..4).all(|i| before[i] != moved[i]), "gamma, beta, mean and variance");
    let mut slots = Slots::new(Flash::<4>::new(FLASH), 0..FLASH as u32).unwrap();
    slots.save(&learnt).unwrap();
    let mut again = TrainingSession::new(&trainer, &model).unwrap();
    assert_eq!(slots.load(&mut again), Ok(Some(1)));
    assert!(again.to_model() == after);
    let mut memory = [0.0; 64];
    assert!(slots.model(&model, &mut memory).unwrap().unwrap().0 == after);
}

#[test]
fn damage_is_noticed() {
    let model = model(1);
    let [old, new] = [1, 2].map(|steps| session(&model, steps));
    let mut slots = Slots::new(Flash::<4>::new(FLASH), 0..FLASH as u32).unwrap();
    slots.save(&old).unwrap();
    slots.save(&new).unwrap();
    let good = slots.into_flash();
    let used = 32 + 4 * (12 * 5 + 5 + 5 * 3 + 3);
    for byte in FLASH / 2..FLASH / 2 + used {
        let mut flash = good.clone();
        flash.bytes[byte] ^= 0x10;
        let mut slots = Slots::new(flash, 0..FLASH as u32).unwrap();
        let mut loaded = session(&model, 0);
        assert_eq!(slots.load(&mut loaded), Ok(Some(1)), "byte {byte}");
        assert!(loaded.to_model() == old.to_model());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (ours, other) = (model(1), model(2));
    let learnt = session(&ours, 1);
    let mut slots = Slots::new(Flash::<4>::new(FLASH), 0..FLASH as u32).unwrap();
    slots.save(&learnt).unwrap();
    let mut foreign = session(&other, 0);
    assert_eq!(slots.load(&mut foreign), Err(Error::OtherModel));
    assert!(foreign.to_model() == other);

    // Statistics of a frozen normalisation stay as they are, and are not in the slot.
    let [normalized, other] = [0.0, 0.5].map(|mean| {
        let mut model = Sequential::new([3]).batch_normalization().dense(2).build(1).unwrap();
        let (ones, zeros, means) = ([1.0; 3], [0.0; 3], [mean; 3]);
        model.set_weights("batch_normalization", &[&ones, &zeros, &means, &ones]).unwrap();
        model.set_trainable("batch_normalization", false).unwrap();
        model
    });
    let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(1);
    let [learnt_on_one, mut on_other] =
        [&normalized, &other].map(|model| TrainingSession::new(&trainer, model).unwrap());
    let mut slots = Slots::new(Flash::<4>::new(FLASH), 0..FLASH as u32).unwrap();
    slots.save(&learnt_on_one).unwrap();
    assert_eq!(slots.load(&mut on_other), Err(Error::OtherModel));

    let small = 2 * SECTOR as u32;
    let mut slots = Slots::new(Flash::<4>::new(FLASH), 0..small).unwrap();
    let expected = (32 + 4 * 83_u32).next_multiple_of(SECTOR as u32);
    assert_eq!(slots.save(&learnt), Err(Error::SlotTooSmall { expected, got: SECTOR as u32 }));
    for range in [0..FLASH as u32 + 128, 4..FLASH as u32, 128..128, 0..SECTOR as u32] {
        assert!(matches!(Slots::new(Flash::<4>::new(FLASH), range), Err(Error::Flash { .. })));
    }
    assert!(matches!(Slots::new(Flash::<64>::new(FLASH), 0..FLASH as u32), Err(Error::Flash { .. })));
}
