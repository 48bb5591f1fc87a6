//! Convolution and its gradients, and the register-only multiply-adds that bound them.

use bantam_benches::layers::{self, Kind};
use bantam_kernels::{Isa, peak};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn multiply_add_peak(c: &mut Criterion) {
    const ROUNDS: usize = 10_000;
    let mut group = c.benchmark_group("peak");
    for isa in Isa::available() {
        group.throughput(Throughput::Elements(peak::multiply_adds(isa, ROUNDS) as u64));
        group.bench_function(isa.name(), |b| b.iter(|| black_box(peak::multiply_adds(isa, ROUNDS))));
    }
}

fn conv2d(c: &mut Criterion) {
    for layer in layers::parse(layers::BUILT_IN).expect("a legal list") {
        let (name, Kind::Convolution(geometry)) = (layer.name, layer.kind) else { continue };
        if !name.contains("mnist") {
            continue;
        }
        let mut group = c.benchmark_group(format!("conv2d/{name}"));
        group.throughput(Throughput::Elements(geometry.multiply_adds()));
        for isa in Isa::available() {
            let mut layer = Kind::Convolution(geometry).ready(isa, None).expect("legal shapes");
            group.bench_function(format!("forward/{isa}"), |b| b.iter(|| layer.forward()));
            group.bench_function(format!("grad_input/{isa}"), |b| b.iter(|| layer.grad_input()));
            group.bench_function(format!("grad_weights/{isa}"), |b| b.iter(|| layer.grad_weights()));
        }
    }
}

criterion_group!(benches, multiply_add_peak, conv2d);
criterion_main!(benches);
