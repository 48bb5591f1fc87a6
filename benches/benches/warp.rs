//! Images turned, moved and zoomed: pixels a second.

use bantam::{Augmentation, Fill};
use bantam_benches::numbers;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn warp(c: &mut Criterion) {
    const SHAPE: [usize; 3] = [150, 150, 3];
    let image = numbers(SHAPE.iter().product());
    let mut output = image.clone();
    let mut group = c.benchmark_group("warp/150x150x3");
    group.throughput(Throughput::Elements((SHAPE[0] * SHAPE[1]) as u64));
    let augmentation = Augmentation::image_data_generator().rotation(20.0).width_shift(0.1).height_shift(0.1);
    let augmentation = augmentation.shear(10.0).zoom(0.1).horizontal_flip();
    for (name, fill) in [
        ("nearest", Fill::Nearest),
        ("reflect", Fill::Reflect),
        ("wrap", Fill::Wrap),
        ("constant", Fill::Constant(0.0)),
    ] {
        let augmentation = augmentation.clone().fill(fill);
        let mut seed = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                seed += 1;
                augmentation.apply(seed, SHAPE, &image, &mut output)
            })
        });
    }
    let coloured = augmentation.channel_shift(20.0).brightness(0.2).contrast(0.2);
    group.bench_function("coloured", |b| b.iter(|| coloured.apply(1, SHAPE, &image, &mut output)));
}

criterion_group!(benches, warp);
criterion_main!(benches);
