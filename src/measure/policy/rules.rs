//! The rules that compare a fix with earlier fixes of its segment: times, speed, gaps and the smallest step.
//!
//! The ledger is exact at any time: the length of the polyline through all fixes that arrive here is the sum of the
//! accepted length, of the rejected lengths, of the gaps, and of the legs to and from the fixes that are not decided
//! yet. These are the tentative first fix of a segment and the candidates. [`SegmentRules::end_run`] decides them.
//!
//! The rejection of a fix m between a and n removes d(a, m) + d(m, n) - d(a, n). The first term is added when m is
//! rejected, the others when n arrives.

use super::chain::{Candidate, Chain};
use super::context::{Arrival, Context, TimedPlace};
use super::ledger::Ledger;
use super::output::Output;
use crate::measure::error::PathError;
use crate::measure::rejection_reason::RejectionReason;
use crate::measure::track_fix::{FixAttributes, TrackFix};

/// The fixes of the current segment with which later fixes are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Segment {
    /// The last accepted fix.
    pub(super) accepted: TrackFix,
    /// The position of the last checked fix, which may be one that the smallest step rejected.
    pub(super) checked: (f64, f64),
    /// The last checked fix that has a time.
    pub(super) timed: Option<TimedPlace>,
}

/// The only checked fix of a segment so far. It is [`Segment::accepted`], and can still be rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tentative {
    pub(super) offset: u64,
    /// The position of the last accepted fix before it; `None` after a marked start.
    pub(super) before: Option<(f64, f64)>,
}

/// The state of the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SegmentRules {
    /// `None` if the next fix starts a run: at the beginning and after a marked start of a segment.
    pub(super) segment: Option<Segment>,
    pub(super) tentative: Option<Tentative>,
    pub(super) chain: Chain,
    pub(super) ledger: Ledger,
}

impl SegmentRules {
    pub(super) fn new() -> Self {
        Self { segment: None, tentative: None, chain: Chain::EMPTY, ledger: Ledger::default() }
    }

    /// Returns the position of the last fix that arrived since the last marked start.
    pub(super) fn previous(&self) -> Option<(f64, f64)> {
        let checked = self.segment.map(|segment| segment.checked);
        self.chain.last().map(|candidate| candidate.fix.at).or(checked)
    }

    /// Returns the last checked fix of the segment. Its elevation is known if it is accepted.
    pub(super) fn last_checked(&self) -> Option<TrackFix> {
        let Segment { accepted, checked, timed } = self.segment?;
        let unix_ns = timed.filter(|timed| timed.at == checked).map(|timed| timed.unix_ns);
        match checked == accepted.at && accepted.attributes.unix_ns == unix_ns {
            true => Some(accepted),
            false => {
                let attributes = FixAttributes { z: None, unix_ns };
                Some(TrackFix { at: checked, attributes })
            }
        }
    }

    /// Returns the last fix if it is the last accepted and checked one, the last one with a time unless the segment has
    /// no times, and nothing is undecided.
    #[inline]
    pub(super) fn settled(&self) -> Option<TrackFix> {
        let Segment { accepted, checked, timed } = self.segment.as_ref()?;
        let is_last = *checked == accepted.at && *timed == TimedPlace::of(*accepted);
        (is_last && self.tentative.is_none() && self.chain.is_empty()).then_some(*accepted)
    }

    /// Sets the last fix after a run of fixes that were accepted because of [`Context::accepts_after`].
    #[inline]
    pub(super) fn settle(&mut self, last: TrackFix) {
        self.segment =
            Some(Segment { accepted: last, checked: last.at, timed: TimedPlace::of(last) });
    }

    /// Counts a rejected fix, and lists it if the path does.
    #[inline]
    fn reject(&mut self, reason: RejectionReason, offset: u64, out: &mut Output<'_>) {
        self.ledger.count(reason, offset);
        out.sink.add_rejected(reason, offset);
    }

    /// Judges a fix.
    #[inline]
    pub(super) fn add(
        &mut self,
        context: &Context<'_>,
        arrival: Arrival,
        out: &mut Output<'_>,
    ) -> Result<(), PathError> {
        let Some(segment) = &self.segment else {
            self.start_segment(arrival.fix, arrival.offset, None);
            return Ok(());
        };
        if let Some(reason) = segment.timed.and_then(|timed| timed.rejects(context, &arrival)) {
            return self.add_candidate(context, arrival, reason, out);
        }
        if self.chain.is_empty() {
            return self.add_checked(context, arrival, true, out);
        }
        self.end_chain(context, Some(arrival.fix.at), out)?;
        self.add_checked(context, arrival, false, out)
    }

    /// Adds a fix that passed the rules for times and speeds. The chain is empty. `is_adjacent` is whether the last
    /// fix that arrived before it is a checked one.
    #[inline]
    fn add_checked(
        &mut self,
        context: &Context<'_>,
        arrival: Arrival,
        is_adjacent: bool,
        out: &mut Output<'_>,
    ) -> Result<(), PathError> {
        let Arrival { fix, offset, leg, .. } = arrival;
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let options = context.options;
        let is_late = match (options.max_gap_time_ns, segment.timed, fix.attributes.unix_ns) {
            (Some(limit), Some(timed), Some(unix_ns)) => timed.unix_ns.abs_diff(unix_ns) > limit,
            _ => false,
        };
        let is_far = || {
            let limit = options.max_gap;
            limit.is_some_and(|limit| arrival.distance_from(context, segment.checked) > limit)
        };
        let starts_segment = is_late || is_far();
        let Segment { accepted, checked, timed } = *segment;
        let from_accepted = arrival.distance_from(context, accepted.at);
        let is_after_step = is_adjacent && checked != accepted.at;
        let is_step = options.min_step.is_some_and(|limit| from_accepted < limit);
        if !starts_segment && is_step {
            segment.checked = fix.at;
            segment.timed = TimedPlace::of(fix).or(timed);
            self.reject(RejectionReason::Step, offset, out);
            // After another one, the terms from and to the accepted fix cancel out.
            let length = if is_adjacent { leg } else { from_accepted };
            self.ledger.add(RejectionReason::Step, length)?;
            if self.tentative.is_some() {
                self.confirm(context, accepted, out)?;
            }
            out.sink.add_checked(fix);
            return Ok(());
        }
        if is_after_step {
            self.ledger.add_difference(RejectionReason::Step, leg, from_accepted)?;
        }
        if self.tentative.is_some() {
            self.confirm(context, accepted, out)?;
        }
        if starts_segment {
            self.start_segment(fix, offset, Some(accepted.at));
            return Ok(());
        }
        let timed = TimedPlace::of(fix).or(timed);
        self.segment = Some(Segment { accepted: fix, checked: fix.at, timed });
        out.push(fix, Some((accepted.attributes, from_accepted)))
    }

    /// Starts a segment with a tentative fix.
    fn start_segment(&mut self, fix: TrackFix, offset: u64, before: Option<(f64, f64)>) {
        let timed = TimedPlace::of(fix);
        self.segment = Some(Segment { accepted: fix, checked: fix.at, timed });
        self.tentative = Some(Tentative { offset, before });
    }

    /// Accepts the tentative first fix of the segment, if there is one.
    #[cold]
    fn confirm(
        &mut self,
        context: &Context<'_>,
        first: TrackFix,
        out: &mut Output<'_>,
    ) -> Result<(), PathError> {
        let Some(Tentative { before, .. }) = self.tentative.take() else { return Ok(()) };
        if let Some(before) = before {
            self.ledger.add_gap(context.distance(before, first.at))?;
        }
        out.push(first, None)
    }

    /// Adds a fix that a rule for times or speeds rejects.
    #[cold]
    fn add_candidate(
        &mut self,
        context: &Context<'_>,
        arrival: Arrival,
        reason: RejectionReason,
        out: &mut Output<'_>,
    ) -> Result<(), PathError> {
        let Arrival { fix, offset, leg, .. } = arrival;
        if self.chain.ends_with(&fix) {
            // The same distances are added and removed.
            self.reject(reason, offset, out);
            return Ok(());
        }
        if !self.chain.is_empty() {
            if !self.chain.agrees(context, &arrival) {
                self.end_chain(context, Some(fix.at), out)?;
            }
        } else if let Some(Segment { accepted, checked, .. }) = self.segment
            && checked != accepted.at
        {
            let from_accepted = arrival.distance_from(context, accepted.at);
            self.ledger.add_difference(RejectionReason::Step, leg, from_accepted)?;
        }
        self.chain.push(Candidate { fix, offset, reason });
        match self.chain.len() >= context.options.reanchor_count as usize {
            true => self.reanchor(context, out),
            false => Ok(()),
        }
    }

    /// Rejects all candidates. `next` is the position of the next fix; `None` before a marked start and at the end.
    #[cold]
    fn end_chain(
        &mut self,
        context: &Context<'_>,
        next: Option<(f64, f64)>,
        out: &mut Output<'_>,
    ) -> Result<(), PathError> {
        let chain = std::mem::replace(&mut self.chain, Chain::EMPTY);
        let (Some(segment), Some(first)) = (self.segment, chain.iter().next()) else {
            return Ok(());
        };
        let last_left = segment.accepted.at;
        let mut from_left = context.distance(last_left, first.fix.at);
        let following = chain.iter().skip(1).map(|candidate| Some(candidate.fix.at));
        for (candidate, next) in chain.iter().zip(following.chain([next])) {
            let Candidate { fix, offset, reason } = candidate;
            self.reject(reason, offset, out);
            self.ledger.add(reason, from_left)?;
            let Some(next) = next else { continue };
            from_left = context.distance(last_left, next);
            self.ledger.add_difference(reason, context.distance(fix.at, next), from_left)?;
        }
        Ok(())
    }

    /// Starts a segment at the first candidate and adds the others to it. If the segment before has only a tentative
    /// fix, that fix is rejected.
    #[cold]
    fn reanchor(&mut self, context: &Context<'_>, out: &mut Output<'_>) -> Result<(), PathError> {
        let chain = std::mem::replace(&mut self.chain, Chain::EMPTY);
        let (Some(segment), Some(first)) = (self.segment, chain.iter().next()) else {
            return Ok(());
        };
        let Candidate { fix, offset, reason } = first;
        let mut before = Some(segment.accepted.at);
        if let Some(tentative) = self.tentative.take() {
            let rejected = segment.accepted.at;
            self.reject(reason, tentative.offset, out);
            self.ledger.add(reason, context.distance(rejected, fix.at))?;
            before = tentative.before;
            if let Some(before) = before {
                let (to_rejected, to_first) =
                    (context.distance(before, rejected), context.distance(before, fix.at));
                self.ledger.add_difference(reason, to_rejected, to_first)?;
            }
        }
        self.start_segment(fix, offset, before);
        let mut previous = fix.at;
        for Candidate { fix, offset, .. } in chain.iter().skip(1) {
            let leg = context.distance(previous, fix.at);
            let arrival = Arrival { fix, offset, previous: Some(previous), leg };
            self.add_checked(context, arrival, true, out)?;
            previous = fix.at;
        }
        Ok(())
    }

    /// Decides the candidates and the tentative fix, at a marked start of a segment or at the end of the path.
    #[cold]
    pub(super) fn end_run(
        &mut self,
        context: &Context<'_>,
        out: &mut Output<'_>,
    ) -> Result<(), PathError> {
        self.end_chain(context, None, out)?;
        match self.segment.take() {
            Some(segment) => self.confirm(context, segment.accepted, out),
            None => Ok(()),
        }
    }
}
