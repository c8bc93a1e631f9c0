//! What libtorch draws and weighs is what the built-in engine does, from the same numbers.

use cvae::model::{Decode, Heads, Model, ModelConfig, Trunk};
use cvae::random::{Purpose, normal, stream};
use cvae::task::Rows;
use cvae::task::dates::{self, ValidDates};
use cvae_torch::decoder::Decoder;
use cvae_torch::engine::shape;
use tch::Device;

/// Small models of each kind, with weights some steps of chance away from the start.
fn models() -> Vec<Model> {
    let small = ModelConfig { latent_dim: 3, hidden_dim: 16, angles: 8, ..ModelConfig::default() };
    let kinds = [
        small,
        ModelConfig { heads: Heads::Independent, ..small },
        ModelConfig { trunk: Trunk::Additive, ..small },
        ModelConfig { latent_dim: 0, ..small },
    ];
    let model = |config| {
        let mut model = Model::new(config, dates::schema(), 1);
        let noise = normal(&mut stream(7, Purpose::Weights, 1), model.weights.len());
        model.weights.iter_mut().zip(noise).for_each(|(weight, noise)| *weight += 0.1 * noise);
        model
    };
    kinds.map(model).into()
}

#[test]
fn rows_are_drawn_as_the_built_in_decoder_draws_them() {
    let valid = ValidDates::new();
    let conditions: Vec<_> = valid.conditions().into_iter().step_by(700).collect();
    let mut asked = Rows::new(4);
    conditions.iter().for_each(|condition| asked.push(&condition.row()));
    let seeds: Vec<u64> = (0..conditions.len() as u64).map(|seed| seed * 7919).collect();
    for model in models() {
        let decoder = Decoder::new(&shape(&model), &model.weights, Device::Cpu);
        for decode in [Decode::Greedy, Decode::Sample { temperature: 0.7 }] {
            let drawn = decoder.draw(&asked, &seeds, 300, decode);
            assert_eq!((drawn.len(), drawn.width()), (300 * conditions.len(), 4));
            let mut others = 0;
            for (place, seed) in seeds.iter().enumerate() {
                let mut repeated = Rows::new(4);
                (0..300).for_each(|_| repeated.push(asked.row(place)));
                let mut built_in = cvae::model::Decoder::new(&model);
                let expected = built_in.decode(&repeated, &decoder.noise(*seed, 300), decode);
                others += (0..300).filter(|draw| drawn.row(300 * place + draw) != expected.row(*draw)).count();
            }
            // Rounding decides between values that are about as likely.
            assert!(others < 5, "{others} {decode:?} {:?}", model.config);
        }
    }
}

#[test]
fn rows_are_weighed_as_the_built_in_decoder_weighs_them() {
    let valid = ValidDates::new();
    let conditions: Vec<_> = valid.conditions().into_iter().step_by(900).collect();
    let days: Vec<_> = conditions.iter().flat_map(|condition| valid.of(*condition).to_vec()).collect();
    let groups = dates::groups(&days);
    let seeds: Vec<u64> = (0..groups.len() as u64).collect();
    let all: Vec<usize> = (0..groups.len()).collect();
    for model in models() {
        let decoder = Decoder::new(&shape(&model), &model.weights, Device::Cpu);
        let weighed = decoder.log_probabilities(&groups, &all, &seeds, 110);
        let mut rest = weighed.as_slice();
        for (group, seed) in seeds.iter().enumerate() {
            let mut rows = Rows::new(8);
            rows.extend(groups.rows(), groups.range(group));
            let z = decoder.noise(*seed, 110).z;
            let mut built_in = cvae::model::Decoder::new(&model);
            let expected = built_in.log_probabilities(&rows, 110, &z);
            let (own, others) = rest.split_at(expected.len());
            rest = others;
            let worst = own.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{worst} {:?}", model.config);
        }
        assert!(rest.is_empty());
    }
}
