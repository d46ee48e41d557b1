//! Units in one place: written, made known and started, or the reverse; whole or not at all.

use std::path::Path;

use crate::report::files::write_whole_as;
use crate::schedule::error::ScheduleError;
use crate::schedule::job::{Job, ScheduleName, parent};
use crate::schedule::systemd::{Systemd, Unit};

/// Units are for everybody to read: they hold no secret.
const UNIT_MODE: u32 = 0o644;

/// Units in one place, as they are and as they should be.
#[derive(Clone, Debug)]
pub(super) struct UnitChange {
    place: Systemd,
    pub(super) units: [(Unit, Option<String>); 2],
    /// Whether the timer is in the state in which it should be.
    settled: bool,
}

impl UnitChange {
    pub(super) async fn install(place: &Systemd, job: &Job) -> Result<Self, ScheduleError> {
        let units = place.units(&job.name)?;
        foreign(&units)?;
        for unit in &units {
            if let Some(config) = unit.written_for()
                && Path::new(config) != job.config
            {
                let place = format!("`{}`", unit.path.display());
                return Err(ScheduleError::Taken { place, config: Some(config.to_owned()) });
            }
        }
        let [service, timer] = units;
        let [service_text, timer_text] = place.texts(job)?;
        let state = if timer.text.is_some() { place.state(&job.name).await? } else { None };
        let settled = place.control.is_none() || state.is_some_and(|state| state.enabled && state.active);
        Ok(Self {
            place: place.clone(),
            units: [(service, Some(service_text)), (timer, Some(timer_text))],
            settled,
        })
    }

    pub(super) fn remove(place: &Systemd, [service, timer]: [Unit; 2]) -> Self {
        Self { place: place.clone(), units: [(service, None), (timer, None)], settled: true }
    }

    pub(super) fn is_there(&self) -> bool {
        self.units.iter().any(|(unit, _)| unit.text.is_some())
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.settled && self.units.iter().all(|(unit, new)| unit.text == *new)
    }

    pub(super) async fn carry_out(&self, name: &ScheduleName) -> Result<(), ScheduleError> {
        let removes = self.units.iter().all(|(_, new)| new.is_none());
        if removes {
            // The timer's file may be gone already.
            if self.units.iter().any(|(unit, _)| {
                unit.path.extension().is_some_and(|kind| kind == "timer") && unit.text.is_some()
            }) {
                self.place.disable(name).await?;
            }
            self.write(|(_, new)| new.as_deref())?;
            return self.place.reload().await;
        }
        let installed = async {
            self.write(|(_, new)| new.as_deref())?;
            self.place.reload().await?;
            self.place.enable(name).await
        };
        let result = installed.await;
        if result.is_err() {
            // What is told is why it failed; that putting back failed too shows in the status.
            if !self.is_there() {
                let _ = self.place.disable(name).await;
            }
            let _ = self.write(|(unit, _)| unit.text.as_deref());
            let _ = self.place.reload().await;
        }
        result
    }

    /// Writes each unit, or removes it where it has no text.
    fn write<'a>(
        &'a self,
        text: impl Fn(&'a (Unit, Option<String>)) -> Option<&'a str>,
    ) -> Result<(), ScheduleError> {
        for change in &self.units {
            let path = &change.0.path;
            match text(change) {
                Some(text) => {
                    let directory = parent(path);
                    std::fs::create_dir_all(&directory)
                        .map_err(|error| ScheduleError::file("write", &directory, error))?;
                    write_whole_as(path, text.as_bytes(), UNIT_MODE).map_err(ScheduleError::Write)?;
                }
                None => match std::fs::remove_file(path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(ScheduleError::file("remove", path, error));
                    }
                    _ => {}
                },
            }
        }
        Ok(())
    }
}

/// Refuses units that are there and were not written by us.
pub(super) fn foreign(units: &[Unit]) -> Result<(), ScheduleError> {
    match units.iter().find(|unit| unit.text.is_some() && unit.written_for().is_none()) {
        Some(unit) => Err(ScheduleError::Foreign { path: unit.path.clone() }),
        None => Ok(()),
    }
}
