//! `timestamptz` as the core's [`Timestamp`], to the microsecond and over its whole range.

use policy_core::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const EPOCH: i64 = 946_684_800_000_000;

/// A `timestamptz` in a bound parameter or a column. PostgreSQL's infinities are no moments and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.micros().checked_sub(EPOCH).ok_or("a time before PostgreSQL's first")?;
        buffer.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for Moment {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a time in text form; it is read with bound parameters only".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        if micros == i64::MAX || micros == i64::MIN {
            return Err("`infinity` is no moment; store NULL for what never ends".into());
        }
        let micros =
            micros.checked_add(EPOCH).ok_or("a time after the last that 64 bits of microseconds hold")?;
        Ok(Self(Timestamp::from_micros(micros)))
    }
}
