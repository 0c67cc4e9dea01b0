//! Writes metrics as the encoder wants them.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt::Error;

/// Names and values of a metric's labels.
pub(super) type Labels<'a> = Vec<(&'a str, String)>;

/// One label.
pub(super) fn label(name: &str, value: impl Into<String>) -> Labels<'_> {
    vec![(name, value.into())]
}

/// Writes families into a scrape.
pub(super) struct Out<'a, 'b>(pub(super) &'b mut DescriptorEncoder<'a>);

impl Out<'_, '_> {
    /// A counter by labels.
    pub(super) fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> Result<(), Error> {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// One counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let metric = MetricType::Counter;
        let family = self.0.encode_descriptor(name, help, None, metric)?;
        ConstCounter::new(value).encode(family)
    }

    /// One gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let metric = MetricType::Gauge;
        let family = self.0.encode_descriptor(name, help, None, metric)?;
        ConstGauge::new(value).encode(family)
    }

    /// One gauge without labels, described also where it has no value.
    pub(super) fn gauge_if(
        &mut self,
        name: &str,
        help: &str,
        value: Option<f64>,
    ) -> Result<(), Error> {
        let metric = MetricType::Gauge;
        let family = self.0.encode_descriptor(name, help, None, metric)?;
        value.map_or(Ok(()), |value| ConstGauge::new(value).encode(family))
    }

    /// One counter without labels, described also where it has no value.
    pub(super) fn counter_if(
        &mut self,
        name: &str,
        help: &str,
        value: Option<u64>,
    ) -> Result<(), Error> {
        let metric = MetricType::Counter;
        let family = self.0.encode_descriptor(name, help, None, metric)?;
        value.map_or(Ok(()), |value| ConstCounter::new(value).encode(family))
    }

    /// A gauge by labels.
    pub(super) fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> Result<(), Error> {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A histogram by labels: its sum and what fell into each bucket.
    pub(super) fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64, Vec<(f64, u64)>)>,
    ) -> Result<(), Error> {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, sum, buckets) in values {
            let count = buckets.iter().map(|(_, count)| count).sum();
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

/// Milliseconds as Prometheus wants them.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

/// Buckets as the encoder wants them: not summed up, the last without a bound.
pub(super) fn buckets(bounds: &[f64], counts: &[u64]) -> Vec<(f64, u64)> {
    let bounds = bounds.iter().copied().chain([f64::MAX]);
    bounds.zip(counts.iter().copied()).collect()
}
