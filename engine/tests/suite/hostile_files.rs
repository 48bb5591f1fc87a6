//! Model files whose sizes are anything: what loads is planned and run, or refused with an error.

use bantam::{
    Conv2d, Dense, Isa, Loss, MaxPool2d, Model, Options, Padding, Plan, RmsProp, Sequential, Session,
    Trainer, TrainingPlan,
};

const HEADER: usize = 64;

/// Numbers and work that a plan may take to be run.
const ARENA: usize = 1 << 18;
const MULTIPLY_ADDS: u64 = 10_000_000;
/// Of samples and of outputs: a pool, whose work is not in multiply-adds, sees no more than their product.
const NUMBERS: usize = 1 << 12;

/// A model's file at an address that weights are read from, to be changed.
struct File {
    words: Vec<u64>,
    len: usize,
}

impl File {
    fn new(net: Sequential) -> File {
        let bytes = net.build(1).unwrap().to_bytes().unwrap();
        let mut file = File { words: vec![0; bytes.len().div_ceil(8)], len: bytes.len() };
        file.bytes().copy_from_slice(&bytes);
        file
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }

    /// Where the table of the layers lies.
    fn table(&mut self) -> std::ops::Range<usize> {
        let len = u32::from_le_bytes(self.bytes()[12..16].try_into().unwrap());
        HEADER..HEADER + len as usize
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        let end = self.table().end.min(at + value.len());
        self.bytes()[at..end].copy_from_slice(&value[..end - at]);
    }

    /// Mends the checksum, and reads, plans and runs what it says.
    fn run(&mut self) -> Outcome {
        let bytes = self.bytes();
        crate::common::mend(bytes);
        match Model::from_bytes(bytes) {
            Ok(model) => Isa::available().map(|isa| run(&model, isa)).max().unwrap(),
            Err(_) => Outcome::Refused,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    Planned,
    Run,
}

fn run(model: &Model<'_>, isa: Isa) -> Outcome {
    let trainer = Trainer::new(RmsProp::default(), Loss::MeanSquaredError).batch_size(2);
    let _ = TrainingPlan::new(&trainer, model);
    let Ok(plan) = Plan::new(model, Options::new(1).isa(isa)) else { return Outcome::Refused };
    let multiply_adds = plan.steps().fold(0, |sum: u64, layer| sum.saturating_add(layer.multiply_adds));
    let samples = model.input_shape().elements();
    let numbers = plan.steps().map(|layer| layer.output.elements()).fold(samples, usize::max);
    if plan.arena_len() > ARENA || multiply_adds > MULTIPLY_ADDS || numbers > NUMBERS {
        return Outcome::Planned;
    }
    let mut session = Session::new(model, Options::new(1).isa(isa)).unwrap();
    match session.run(&vec![0.5; samples]) {
        Ok(_) => Outcome::Run,
        Err(_) => Outcome::Refused,
    }
}

/// Every kind of layer, padding and activation. Weights are few, so that other sizes have room for theirs in the
/// same lines of the file.
fn files() -> Vec<File> {
    let padding = Padding::Explicit { top: 1, bottom: 2, left: 0, right: 1 };
    let conv = |filters, kernel, how: Conv2d| how.filters(filters).kernel(kernel);
    let nets = [
        Sequential::new([4, 4, 1]).max_pool2d_with(MaxPool2d::new(2).padding(Padding::Same)),
        Sequential::new([5, 6, 2]).max_pool2d_with(MaxPool2d::new(3).stride(2).padding(padding)).relu(),
        Sequential::new([7, 5, 1]).layer(conv(1, [3, 2], Conv2d::same().stride(2))).relu().layer(conv(
            1,
            [1, 3],
            Conv2d::padded(padding).no_bias(),
        )),
        Sequential::new([9, 8, 1]).conv2d(1, 3).max_pool2d(2).relu().flatten().dense(1),
        Sequential::new([8, 9, 1])
            .conv2d_with(1, [2, 3], Conv2d::same())
            .max_pool2d_with(MaxPool2d::new(2).stride(1))
            .dropout(0.5)
            .softmax(),
        Sequential::new([6]).layer(Dense::new(3).no_bias()).relu().dropout(0.25).dense(2),
        // For Winograd's tiles.
        Sequential::new([6, 7, 8]).conv2d_with(8, [3, 3], Conv2d::same()).relu().max_pool2d(2),
    ];
    nets.into_iter().map(File::new).collect()
}

/// Sizes at which a sum or product of them first overflows somewhere.
const EXTREMES: [u32; 8] = [0, 1, 2, 3, 0xffff, i32::MAX as u32, 1 << 31, u32::MAX];

/// Marsaglia's xorshift.
struct Random(u32);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % end
    }
}

#[test]
fn no_file_of_any_sizes_panics() {
    let mut random = Random(1);
    let mut outcomes = [0; 3];
    for mut file in files() {
        let (whole, table) = (file.words.clone(), file.table());
        assert_eq!(file.run(), Outcome::Run);
        let mut change = |changes: &[(usize, &[u8])]| {
            file.words.copy_from_slice(&whole);
            changes.iter().for_each(|&(at, value)| file.put(at, value));
            outcomes[file.run() as usize] += 1;
        };
        for at in table.clone() {
            EXTREMES.iter().for_each(|size| change(&[(at, &size.to_le_bytes())]));
            [0, 1, 2, 3, 4, 5, 6, 7, 16, 127, 128, 255].iter().for_each(|&byte| change(&[(at, &[byte])]));
        }
        for _ in 0..3000 {
            let mut size = || {
                let at = table.start + random.below(table.len());
                let value = match random.below(3) {
                    0 => vec![random.below(9) as u8],
                    1 => vec![random.below(256) as u8],
                    _ => EXTREMES[random.below(EXTREMES.len())].to_le_bytes().to_vec(),
                };
                (at, value)
            };
            let [a, b] = [size(), size()];
            change(&[(a.0, &a.1), (b.0, &b.1)]);
        }
    }
    assert!(outcomes.iter().all(|&count| count > 500), "{outcomes:?}");
}

/// A window far longer than the image, and a stride far beyond it.
#[test]
fn a_pool_of_2_to_the_31_rows_and_a_stride_as_long() {
    let pool = MaxPool2d::new(2).padding(Padding::Same);
    let mut file = File::new(Sequential::new([4, 4, 1]).max_pool2d_with(pool));
    // Behind the attributes are the outputs, and the length of the metadata.
    let at = file.table().end - 17 - 12;
    for (field, size) in [1u32 << 31, 1, 1, 1 << 31].into_iter().enumerate() {
        file.put(at + 4 * field, &size.to_le_bytes());
    }
    let outcome = file.run();
    assert_eq!(outcome, if usize::BITS > 32 { Outcome::Run } else { Outcome::Refused });
}
