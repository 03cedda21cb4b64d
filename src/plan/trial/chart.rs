//! Energy against latency of a grid's points, with a search's probes, as SVG.

use super::{Outcome, Trial};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 600);

/// The chart of one search.
///
/// # Errors
/// What the plotting library says, in words.
pub fn svg(trial: &Trial<'_>, outcome: &Outcome, title: &str) -> Result<String, String> {
    let mut text = String::new();
    draw(&mut text, trial, outcome, title).map_err(|error| error.to_string())?;
    Ok(text)
}

type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(
    text: &'a mut String,
    trial: &Trial<'_>,
    outcome: &Outcome,
    title: &str,
) -> Result<(), Failure<'a>> {
    let ms = |[latency, energy]: [f64; 2]| (1e3 * latency, energy);
    let truth: Vec<(f64, f64)> = trial
        .allowed
        .0
        .iter()
        .map(|p| ms(trial.grid.costs[*p]))
        .collect();
    let probes: Vec<(f64, f64)> = outcome
        .history
        .iter()
        .map(|o| ms([o.latency_s, o.energy_j]))
        .collect();
    let (width, height) = reach(&truth, &probes);
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..width, 0.0..height)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("latency, ms")
        .y_desc("energy, J")
        .draw()?;
    let grey = RGBColor(190, 190, 190).filled();
    let dots = truth.iter().map(|at| Circle::new(*at, 2, grey));
    chart
        .draw_series(dots)?
        .label("recorded points")
        .legend(move |at| Circle::new(at, 3, grey));
    let blue = RGBColor(31, 119, 180).filled();
    let dots = probes.iter().map(|at| Circle::new(*at, 4, blue));
    chart
        .draw_series(dots)?
        .label("probes, as read")
        .legend(move |at| Circle::new(at, 4, blue));
    marks(&mut chart, trial, outcome, (width, height))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The cap, the optimum and the choice.
fn marks<'b>(
    chart: &mut Chart<'_, 'b>,
    trial: &Trial<'_>,
    outcome: &Outcome,
    (width, height): (f64, f64),
) -> Result<(), Failure<'b>> {
    let ms = |[latency, energy]: [f64; 2]| (1e3 * latency, energy);
    let cap = 1e3 * trial.goal.cap();
    if cap < width {
        let line = LineSeries::new([(cap, 0.0), (cap, height)], BLACK.stroke_width(1));
        chart
            .draw_series(line)?
            .label("latency cap")
            .legend(|(x, y)| PathElement::new([(x - 6, y), (x + 6, y)], BLACK));
    }
    for (point, name, colour) in [
        (trial.optimum(), "true optimum", RGBColor(44, 160, 44)),
        (outcome.point, "choice, true cost", RGBColor(214, 39, 40)),
    ] {
        let Some(point) = point else { continue };
        let at = ms(trial.grid.costs[point]);
        let style = colour.stroke_width(2);
        let size = if colour.1 == 160 { 9 } else { 6 };
        chart
            .draw_series([Circle::new(at, size, style)])?
            .label(name)
            .legend(move |at| Circle::new(at, 5, style));
    }
    Ok(())
}

/// Largest latency and energy of both lists, and a little more.
fn reach(truth: &[(f64, f64)], probes: &[(f64, f64)]) -> (f64, f64) {
    let all = truth.iter().chain(probes);
    let (x, y) = all.fold((0.0, 0.0), |(x, y): (f64, f64), p| (x.max(p.0), y.max(p.1)));
    (1.05 * x, 1.05 * y)
}
