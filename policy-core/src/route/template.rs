//! The path of a route, with its parameters.

use super::path::{self, PathFault};
use alloc::vec::Vec;
use thiserror::Error;

/// The most segments of a path template.
pub const MAX_TEMPLATE_SEGMENTS: usize = 64;

/// One segment of a template.
pub(super) enum Segment<'a> {
    /// Itself, as it is written.
    Literal(&'a str),
    /// `{name}`: any one segment that is not empty.
    Parameter,
    /// `{name:path}`, as FastAPI writes it: one or more segments, to the end. The last only.
    Rest,
}

/// Why a text is no path template.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum TemplateFault {
    /// It has a literal part that no request could have.
    #[error("{0}")]
    Path(#[from] PathFault),
    /// It has a `?` or `#`, and only the path counts.
    #[error("it has a `?` or `#`; a route is a path without query")]
    Query,
    /// A brace stands where no whole segment is a parameter.
    #[error("a parameter is a whole segment, `{{name}}`, its name of letters, digits, `_`, `-` and `.`")]
    Parameter,
    /// `{name:path}` stands before the end.
    #[error("`{{name:path}}` takes all that is left, so it must be the last segment")]
    RestBeforeEnd,
    /// It has more than [`MAX_TEMPLATE_SEGMENTS`].
    #[error("it has more than {MAX_TEMPLATE_SEGMENTS} segments")]
    TooManySegments,
}

/// Reads a template.
pub(super) fn read(text: &str) -> Result<Vec<Segment<'_>>, TemplateFault> {
    if text.contains(['?', '#']) {
        return Err(TemplateFault::Query);
    }
    let segments = text.strip_prefix('/').ok_or(PathFault::NotAbsolute)?;
    if text.len() > path::MAX_PATH_BYTES {
        return Err(PathFault::TooLong.into());
    }
    let count = segments.split('/').count();
    if count > MAX_TEMPLATE_SEGMENTS {
        return Err(TemplateFault::TooManySegments);
    }
    let mut read = Vec::with_capacity(count);
    for (at, segment) in segments.split('/').enumerate() {
        let is_last = at.saturating_add(1) == count;
        if segment.is_empty() && !is_last {
            return Err(PathFault::EmptySegment.into());
        }
        match segment_of(segment)? {
            Segment::Rest if !is_last => return Err(TemplateFault::RestBeforeEnd),
            segment => read.push(segment),
        }
    }
    Ok(read)
}

fn segment_of(segment: &str) -> Result<Segment<'_>, TemplateFault> {
    if !segment.contains(['{', '}']) {
        path::check_segment(segment)?;
        return Ok(Segment::Literal(segment));
    }
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or(TemplateFault::Parameter)?;
    let (name, parsed) = match inner.strip_suffix(":path") {
        Some(name) => (name, Segment::Rest),
        None => (inner, Segment::Parameter),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(TemplateFault::Parameter);
    }
    Ok(parsed)
}
