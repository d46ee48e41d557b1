//! Handles: numbers that stand for objects, and never for another one than they were given out for.

use crate::code::Code;
use alloc::vec::Vec;

/// The number of places: as many as 16 bits tell apart.
const MAX_PLACES: usize = 1 << 16;
/// How often a place is used: as often as the 15 bits above tell apart. Of 0 there is none, so that no handle is 0.
const MAX_GENERATION: u16 = i16::MAX.unsigned_abs();
/// The end of the list of free places.
const NONE: u32 = u32::MAX;

/// Objects by handle. The upper bits of a handle count how often its place was used; when they are used up, so is the place.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Place<T>>,
    /// The place that was freed last.
    free: u32,
}

#[derive(Debug)]
struct Place<T> {
    generation: u16,
    object: Option<T>,
    /// Where it is free: the place that was freed before.
    next: u32,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: NONE }
    }

    /// Makes room for one object, so that [`Slots::insert`] cannot fail.
    pub(crate) fn reserve(&mut self) -> Result<(), Code> {
        if self.free != NONE {
            return Ok(());
        }
        if self.places.len() >= MAX_PLACES {
            return Err(Code::TooMany);
        }
        self.places.try_reserve(1).map_err(|_| Code::OutOfMemory)
    }

    /// Takes an object, and gives the handle that stands for it from now on.
    pub(crate) fn insert(&mut self, object: T) -> Result<i32, Code> {
        self.reserve()?;
        if self.free == NONE {
            self.free = number(self.places.len());
            self.places.push(Place { generation: 0, object: None, next: NONE });
        }
        let at = self.free;
        let place = self.places.get_mut(at as usize).ok_or(Code::TooMany)?;
        self.free = place.next;
        place.generation = place.generation.saturating_add(1);
        place.object = Some(object);
        Ok(handle(at, place.generation))
    }

    /// The object of a handle.
    #[inline(always)]
    pub(crate) fn get(&self, handle: i32) -> Result<&T, Code> {
        let (at, generation) = parts(handle);
        match self.places.get(at) {
            Some(Place { generation: found, object: Some(object), .. })
                if i32::from(*found) == generation =>
            {
                Ok(object)
            }
            _ => Err(Code::BadHandle),
        }
    }

    /// The object of a handle, to be changed.
    pub(crate) fn get_mut(&mut self, handle: i32) -> Result<&mut T, Code> {
        let (at, generation) = parts(handle);
        match self.places.get_mut(at) {
            Some(Place { generation: found, object: Some(object), .. })
                if i32::from(*found) == generation =>
            {
                Ok(object)
            }
            _ => Err(Code::BadHandle),
        }
    }

    /// Frees an object. Its handle stands for nothing from now on.
    pub(crate) fn remove(&mut self, handle: i32) -> Result<T, Code> {
        self.get(handle)?;
        let (at, _) = parts(handle);
        let place = self.places.get_mut(at).ok_or(Code::BadHandle)?;
        let object = place.object.take().ok_or(Code::BadHandle)?;
        if place.generation < MAX_GENERATION {
            place.next = self.free;
            self.free = number(at);
        }
        Ok(object)
    }

    /// Frees the objects that `goes` says.
    pub(crate) fn remove_where(&mut self, goes: impl Fn(&T) -> bool) {
        for at in 0..self.places.len() {
            if let Some(place) = self.places.get(at)
                && place.object.as_ref().is_some_and(&goes)
            {
                // It is there, so it is freed.
                let _ = self.remove(handle(number(at), place.generation));
            }
        }
    }
}

/// Where a handle points, and how often the place had been used when it was given out.
#[inline]
const fn parts(handle: i32) -> (usize, i32) {
    ((handle & 0xffff) as usize, handle >> 16)
}

const fn handle(at: u32, generation: u16) -> i32 {
    // A generation has 15 bits, a place 16.
    ((generation as i32) << 16) | (at & 0xffff).cast_signed()
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_freed_handle_never_stands_for_another_object() {
        let mut slots = Slots::new();
        let first = slots.insert('a').unwrap();
        let other = slots.insert('b').unwrap();
        assert_eq!(slots.remove(first), Ok('a'));
        assert_eq!(slots.remove(first), Err(Code::BadHandle));
        let second = slots.insert('c').unwrap();
        assert_eq!(second & 0xffff, first & 0xffff, "the place is used again");
        assert_eq!(
            (slots.get(first), slots.get(second), slots.get(other)),
            (Err(Code::BadHandle), Ok(&'c'), Ok(&'b'))
        );
        for handle in [0, -1, i32::MIN, i32::MAX, 1, first & 0xffff] {
            assert_eq!(slots.get(handle), Err(Code::BadHandle), "{handle}");
        }
    }

    #[test]
    fn a_place_that_is_used_up_is_used_no_more() {
        let mut slots = Slots::new();
        let mut given = Vec::new();
        for _ in 0..MAX_GENERATION {
            let handle = slots.insert(()).unwrap();
            assert!(handle > 0 && handle & 0xffff == 0);
            slots.remove(handle).unwrap();
            given.push(handle);
        }
        let next = slots.insert(()).unwrap();
        assert_eq!(next & 0xffff, 1);
        assert!(given.iter().all(|&handle| slots.get(handle) == Err(Code::BadHandle)));
    }

    #[test]
    fn there_are_as_many_objects_as_places() {
        let mut slots = Slots::new();
        for at in 0..MAX_PLACES {
            assert_eq!(slots.insert(at).map(|handle| handle & 0xffff), Ok(i32::try_from(at).unwrap()));
        }
        assert_eq!(slots.insert(0), Err(Code::TooMany));
        slots.remove_where(|&object| object % 2 == 1);
        assert_eq!(slots.places.iter().filter(|place| place.object.is_some()).count(), MAX_PLACES / 2);
        assert!(slots.insert(0).is_ok());
    }
}
