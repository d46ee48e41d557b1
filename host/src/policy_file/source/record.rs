//! A source as the ledger keeps it. What is at its default is left out, so that a source that says no more than an older
//! pbac could is recorded as that one recorded it, and is seen to be the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Activity, Condition, Form, NullActive, PermissionWay, RoleWay, Source, SourceKind, SourcePath, Treatment,
};
use crate::postgres::{Identifier, QualifiedName};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    kind: SourceKind,
    table: QualifiedName,
    user_id: Identifier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Identifier>,
    active: Option<Identifier>,
    null_active: Option<NullActive>,
    rename: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inactive_if_set: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inactive_until: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Condition::is_empty")]
    only: Condition,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    distinct: bool,
    #[serde(default, skip_serializing_if = "Treatment::stops")]
    null_role: Treatment,
    #[serde(default, skip_serializing_if = "Treatment::stops")]
    orphans: Treatment,
    #[serde(default, skip_serializing_if = "Treatment::stops")]
    cycles: Treatment,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ignore_labels: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<RoleWay>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<PermissionWay>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    permission_names: BTreeMap<String, Vec<String>>,
}

impl From<Source> for Record {
    fn from(source: Source) -> Self {
        let (mut active, mut inactive_if_set, mut inactive_until) = (None, None, None);
        match source.activity {
            Some(Activity::Boolean(column)) => active = Some(column),
            Some(Activity::InactiveIfSet(column)) => inactive_if_set = Some(column),
            Some(Activity::InactiveUntil(column)) => inactive_until = Some(column),
            None => {}
        }
        let mut roles = source.roles;
        let mut role = None;
        if source.kind == SourceKind::RoleColumn
            && let [RoleWay::Path(SourcePath { column: Some(column), form: Form::One, via })] =
                roles.as_slice()
            && via.is_empty()
        {
            role = Some(column.clone());
            roles = Vec::new();
        }
        Self {
            kind: source.kind,
            table: source.table,
            user_id: source.user_id,
            role,
            active,
            null_active: source.null_active,
            rename: source.rename,
            inactive_if_set,
            inactive_until,
            only: source.only,
            distinct: source.distinct,
            null_role: source.null_role,
            orphans: source.orphans,
            cycles: source.cycles,
            ignore_labels: source.ignore_labels,
            roles,
            permissions: source.permissions,
            permission_names: source.permission_names,
        }
    }
}

impl TryFrom<Record> for Source {
    type Error = &'static str;

    fn try_from(record: Record) -> Result<Self, Self::Error> {
        let activity = match (record.active, record.inactive_if_set, record.inactive_until) {
            (None, None, None) => None,
            (Some(column), None, None) => Some(Activity::Boolean(column)),
            (None, Some(column), None) => Some(Activity::InactiveIfSet(column)),
            (None, None, Some(column)) => Some(Activity::InactiveUntil(column)),
            _ => return Err("it says in two ways who is active"),
        };
        let roles = match (record.role, record.roles.is_empty()) {
            (Some(column), true) => vec![RoleWay::Path(SourcePath::column(column))],
            (None, false) => record.roles,
            _ => return Err("it must say in one way where the roles lie"),
        };
        Ok(Self {
            kind: record.kind,
            table: record.table,
            user_id: record.user_id,
            only: record.only,
            distinct: record.distinct,
            activity,
            null_active: record.null_active,
            null_role: record.null_role,
            orphans: record.orphans,
            cycles: record.cycles,
            ignore_labels: record.ignore_labels,
            rename: record.rename,
            roles,
            permissions: record.permissions,
            permission_names: record.permission_names,
        })
    }
}

/// An effect by its word.
pub(super) mod effect {
    use policy_core::Effect;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        effect: &Effect,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        effect.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Effect, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "allow" => Ok(Effect::Allow),
            "deny" => Ok(Effect::Deny),
            other => Err(D::Error::custom(format_args!("`{}` is no effect", other.escape_debug()))),
        }
    }
}
