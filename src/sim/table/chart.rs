//! One chart a board: energy a frame by method, work and idle apart, as SVG.

use super::{Entry, Table};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Height of a bar, and of what is around a panel's bars.
const BAR: u32 = 26;
const AROUND: u32 = 96;
const WIDTH: u32 = 900;

type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

impl Table {
    /// The chart of a board: a panel for each bundle and rate.
    ///
    /// # Errors
    /// What the plotting library says, in words.
    pub fn svg(&self, board: &str) -> Result<String, String> {
        let mut panels: Vec<Vec<&Entry>> = Vec::new();
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.board.name == board)
        {
            match panels.last_mut() {
                Some(panel) if same(panel[0], entry) => panel.push(entry),
                _ => panels.push(vec![entry]),
            }
        }
        let mut text = String::new();
        draw(&mut text, &panels).map_err(|error| error.to_string())?;
        Ok(text)
    }
}

fn same(a: &Entry, b: &Entry) -> bool {
    a.bundle == b.bundle && a.rate == b.rate
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn draw<'a>(text: &'a mut String, panels: &[Vec<&Entry>]) -> Result<(), Failure<'a>> {
    let most = panels.iter().map(Vec::len).max().unwrap_or(1);
    let height = (count(most) * BAR + AROUND) * count(panels.len()).max(1);
    let area = SVGBackend::with_string(text, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let areas = area.split_evenly((panels.len().max(1), 1));
    for (area, entries) in areas.iter().zip(panels) {
        panel(area, entries)?;
    }
    area.present()
}

fn panel<'a>(
    area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    entries: &[&Entry],
) -> Result<(), Failure<'a>> {
    let Some(first) = entries.first() else {
        return Ok(());
    };
    let title = format!(
        "{}: {}, {} ({})",
        first.board.title,
        first.bundle,
        first.rate.word(),
        first.board.mark()
    );
    let largest = entries.iter().map(|entry| entry.figures.energy_mj);
    let largest = largest.fold(0.0, f64::max) * 1.25;
    let rows = f64::from(count(entries.len()));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(230)
        .build_cartesian_2d(0.0..largest, 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .x_desc("mJ a frame: dark while segments run, light while idle")
        .draw()?;
    for (place, entry) in entries.iter().enumerate() {
        bar(area, &mut chart, rows - f64::from(count(place)), entry)?;
    }
    Ok(())
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The bar of a line whose row ends at `top`, its figure behind it and its name before.
fn bar<'b>(
    area: &DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
    chart: &mut Chart<'_, 'b>,
    top: f64,
    entry: &Entry,
) -> Result<(), Failure<'b>> {
    let all = entry.figures.energy_mj;
    let work = entry.figures.work_mj.min(all);
    let part = |from: f64, to: f64, colour: RGBColor| {
        Rectangle::new([(from, top - 0.15), (to, top - 0.85)], colour.filled())
    };
    chart.draw_series([
        part(0.0, work, RGBColor(31, 119, 180)),
        part(work, all, RGBColor(174, 199, 232)),
    ])?;
    let figure = match entry.late_percent() {
        late if late >= 0.1 => format!("{all:.1}, {late:.1} % late"),
        late if late > 0.0 => format!("{all:.1}, {late:.2} % late"),
        _ => format!("{all:.1}"),
    };
    let (x, y) = chart.backend_coord(&(all, top - 0.25));
    let (columns, rows) = area.get_pixel_range();
    let (x, y) = (x - columns.start + 4, y - rows.start);
    area.draw(&Text::new(figure, (x, y), ("sans-serif", 13)))?;
    area.draw(&Text::new(entry.title(), (14, y), ("sans-serif", 13)))
}
