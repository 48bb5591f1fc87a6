//! What no memory can hold is an error: no panic, no abort, no sum that wraps, on 32 bits and on 64.

#[cfg(target_pointer_width = "64")]
use bantam::{Buffer, Tensor};
use bantam::{
    Error, Isa, Loss, MaxPool2d, Options, Plan, Sequential, Session, Sgd, Trainer, TrainingPlan,
    TrainingSession,
};

#[test]
fn sessions_larger_than_memory_are_refused() {
    let refused = |net: Sequential, batch: usize| {
        let model = net.build(1).unwrap();
        let error = Session::new(&model, Options::new(batch)).err().unwrap();
        assert!(matches!(error, Error::OutOfMemory { .. } | Error::Kernel(_)), "{error}");
        let trainer = Trainer::new(Sgd::default(), Loss::MeanSquaredError).batch_size(batch);
        assert!(TrainingSession::new(&trainer, &model).is_err());
    };
    refused(Sequential::new([4]).dense(4), usize::MAX);
    refused(Sequential::new([4]).dense(4), 1 << (usize::BITS - 5));
    // What 32 bits can tell may be there.
    #[cfg(target_pointer_width = "64")]
    {
        refused(Sequential::new([1 << 30, 1 << 30]).relu(), 1);
        refused(Sequential::new([1 << 30, 1 << 27]).relu().softmax(), 1);
        refused(Sequential::new([4]).dense(4), 1 << 52);
        assert!(Buffer::try_new(isize::MAX as usize / 4).is_err());
        assert!(Tensor::zeros(&[1 << 30, 1 << 30]).is_err());
    }
}

/// Arenas of more bytes than an address can tell.
#[test]
fn plans_whose_sums_overflow_are_refused() {
    // Two maps that each fit: the sum of their bytes is zero in 32 bits.
    let side = if usize::BITS == 32 { [233, 1103, 2089] } else { [1 << 20, 1 << 20, 1 << 20] };
    let net = Sequential::new(side).max_pool2d_with(MaxPool2d::new(1)).max_pool2d_with(MaxPool2d::new(1));
    let model = net.build(1).unwrap();
    let error = Plan::new(&model, Options::new(1).isa(Isa::SCALAR)).err().unwrap();
    assert!(error.to_string().starts_with("arena: expected at most isize::MAX bytes"), "{error}");

    // Five maps that each fit, and their gradients.
    let side = if usize::BITS == 32 { [4096, 4096, 8] } else { [1 << 10, 1 << 46, 8] };
    let model = (0..5).fold(Sequential::new(side), |net, _| net.conv2d(8, 1)).build(1).unwrap();
    let trainer = Trainer::new(Sgd::default(), Loss::MeanSquaredError).batch_size(1).isa(Isa::SCALAR);
    let error = TrainingPlan::new(&trainer, &model).err().unwrap();
    assert!(error.to_string().starts_with("arena: expected at most isize::MAX bytes"), "{error}");
}
