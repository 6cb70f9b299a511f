//! The table, step by step.

use super::*;

fn table(waiting_max: usize, kept: usize) -> Table {
    Table::new(Limits {
        at_once: 1,
        waiting_max,
        kept,
    })
}

fn ask(table: &mut Table, number: u128) -> Result<oneshot::Receiver<Outcome>, Refused> {
    let what = crawl::Request {
        target: format!("https://example.org/{number}"),
        author: "Ada".into(),
        as_kind: None,
        reference: None,
        browser: false,
    };
    let (told, outcome) = oneshot::channel();
    table.ask(
        Uuid::from_u128(number),
        what,
        (u64::try_from(number).unwrap(), told),
    )?;
    Ok(outcome)
}

fn state(table: &Table, number: u128) -> Option<State> {
    table.get(Uuid::from_u128(number)).map(|job| job.state)
}

/// Cancels a job whose turn has not come, which is over at once.
fn cancelled(table: &mut Table, number: u128, now_ms: u64) -> Job {
    let over = table.cancel(Uuid::from_u128(number), now_ms);
    over.unwrap().try_recv().unwrap()
}

#[test]
fn jobs_have_their_turn_in_order_and_so_many_at_once() {
    let mut table = table(5, 5);
    let mut first = ask(&mut table, 1).unwrap();
    let _second = ask(&mut table, 2).unwrap();
    let (id, what) = table.begin(10).unwrap();
    assert_eq!(
        (id, what.target.as_str()),
        (Uuid::from_u128(1), "https://example.org/1")
    );
    assert!(table.begin(10).is_none());
    assert_eq!(state(&table, 2), Some(State::Queued));
    table.end(id, Some(Ok(Counts::default())), 11);
    assert_eq!(first.try_recv().unwrap(), Ok(Counts::default()));
    let job = table.get(id).unwrap();
    assert_eq!((job.started_ms, job.ended_ms), (Some(10), Some(11)));
    assert_eq!(table.begin(12).unwrap().0, Uuid::from_u128(2));
}

#[test]
fn no_more_wait_than_may_and_the_oldest_that_ended_is_forgotten() {
    let mut table = table(1, 2);
    let _keep: Vec<_> = (1..=2)
        .map(|number| ask(&mut table, number).unwrap())
        .collect();
    assert_eq!(ask(&mut table, 3).unwrap_err(), Refused::Full);
    for number in 1..=3 {
        let (id, _) = table.begin(0).unwrap();
        table.end(id, Some(Err("no".into())), 0);
        ask(&mut table, number + 10).unwrap();
    }
    assert_eq!(state(&table, 1), None);
    assert_eq!(state(&table, 2), Some(State::Failed("no".into())));
}

#[test]
fn a_stop_tells_those_whose_turn_did_not_come() {
    let mut table = table(5, 5);
    let mut asked = ask(&mut table, 1).unwrap();
    table.give_up("stopped");
    assert_eq!(asked.try_recv().unwrap(), Err("stopped".into()));
    assert!(table.begin(0).is_none());
    // Who comes later hears that, and not that there is no room.
    assert_eq!(ask(&mut table, 2).unwrap_err(), Refused::Stopping);
}

#[test]
fn a_waiting_job_that_is_cancelled_never_begins_and_makes_room() {
    let mut table = table(2, 5);
    let mut asked: Vec<_> = (1..=3)
        .map(|number| ask(&mut table, number).unwrap())
        .collect();
    assert_eq!(table.begin(10).unwrap().0, Uuid::from_u128(1));
    ask(&mut table, 4).unwrap_err();
    let over = cancelled(&mut table, 2, 11);
    assert_eq!(over.state, State::Cancelled);
    assert_eq!((over.started_ms, over.ended_ms), (None, Some(11)));
    assert_eq!(state(&table, 2), Some(State::Cancelled));
    assert_eq!(asked[1].try_recv().unwrap(), Err(CANCELLED.into()));
    // Nothing runs of it that could be cut off, and somebody else may wait in its place.
    assert!(table.unwanted().is_empty());
    ask(&mut table, 4).unwrap();
    table.end(Uuid::from_u128(1), Some(Ok(Counts::default())), 12);
    assert_eq!(table.begin(13).unwrap().0, Uuid::from_u128(3));
}

#[test]
fn a_running_job_that_is_cancelled_has_its_turn_until_nothing_of_it_runs() {
    let mut table = table(5, 5);
    let mut first = ask(&mut table, 1).unwrap();
    let _second = ask(&mut table, 2).unwrap();
    let (id, _) = table.begin(10).unwrap();
    let mut over = table.cancel(id, 11).unwrap();
    let mut again = table.cancel(id, 11).unwrap();
    assert!(table.unwanted().contains(&id));
    assert!(table.unwanted().is_empty());
    assert_eq!(state(&table, 1), Some(State::Running));
    assert!(over.try_recv().is_err() && table.begin(11).is_none());
    table.end(id, None, 12);
    for told in [over.try_recv().unwrap(), again.try_recv().unwrap()] {
        assert_eq!((told.state, told.ended_ms), (State::Cancelled, Some(12)));
    }
    assert_eq!(first.try_recv().unwrap(), Err(CANCELLED.into()));
    assert_eq!(table.begin(13).unwrap().0, Uuid::from_u128(2));
}

#[test]
fn one_that_ends_before_it_is_cut_off_is_told_as_it_ended() {
    let mut table = table(5, 5);
    let mut asked = ask(&mut table, 1).unwrap();
    let (id, _) = table.begin(10).unwrap();
    let mut over = table.cancel(id, 11).unwrap();
    table.end(id, Some(Ok(Counts::default())), 12);
    let told = over.try_recv().unwrap();
    assert_eq!(told.state, State::Done(Counts::default()));
    assert_eq!(asked.try_recv().unwrap(), Ok(Counts::default()));
}

#[test]
fn what_is_over_or_not_known_is_not_cancelled() {
    let mut table = table(5, 1);
    let _asked: Vec<_> = (1..=3)
        .map(|number| ask(&mut table, number).unwrap())
        .collect();
    let (id, _) = table.begin(10).unwrap();
    table.end(id, Some(Err("no".into())), 11);
    assert_eq!(table.cancel(id, 12).unwrap_err(), Kept::Over);
    assert_eq!(state(&table, 1), Some(State::Failed("no".into())));
    cancelled(&mut table, 2, 13);
    let second = Uuid::from_u128(2);
    assert_eq!(table.cancel(second, 14).unwrap_err(), Kept::Over);
    // It is remembered as any other that ended, and the one before it was forgotten for it.
    assert_eq!(table.cancel(id, 14).unwrap_err(), Kept::Unknown);
    table.give_up("stopped");
    let third = Uuid::from_u128(3);
    assert_eq!(table.cancel(third, 15).unwrap_err(), Kept::Over);
}
