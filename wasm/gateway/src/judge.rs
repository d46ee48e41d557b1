//! What becomes of a request.

use crate::config::{Config, RoleSource};
use crate::gateway::Gateway;
use crate::identity::Identity;
use crate::live::LivePolicy;
use crate::request::{Request, Unusable};
use policy_core::route::{Access, Route, RouteDenial};
use policy_core::token::{Claims, TokenBuffer, TokenError};
use policy_core::{Decision, Roles, Timestamp};

/// What becomes of a request.
#[derive(PartialEq, Eq, Debug)]
pub enum Verdict<'g> {
    /// It passes: the user may.
    Allow(Identity),
    /// It passes: the route asks for nothing.
    Public,
    /// It does not pass.
    Deny(Denial<'g>),
}

/// Why a request does not pass.
#[derive(PartialEq, Eq, Debug)]
pub struct Denial<'g> {
    /// Of what kind it is.
    pub kind: Kind,
    /// The word for the reason.
    pub reason: &'static str,
    /// The route, where one is known and whoever asked may know of it.
    pub route: Option<&'g Route>,
    /// Who asked, where the token says it.
    pub identity: Option<Identity>,
}

/// What sort of denial it is, which is what a client can do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ask in another way: status 400.
    BadRequest,
    /// Bring a token: status 401. There was none.
    NoToken,
    /// Bring another token: status 401.
    BadToken,
    /// Have somebody grant it: status 403.
    Forbidden,
    /// Wait until there is a policy, and settings: status 503.
    Unavailable,
}

impl Kind {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NoToken | Self::BadToken => 401,
            Self::Forbidden => 403,
            Self::Unavailable => 503,
        }
    }
}

impl Gateway {
    /// Decides about a request with these headers at `now`.
    ///
    /// A path that could be read in two ways is refused first, whoever asks. Then a public route passes. For everything else a
    /// policy and a token have to hold before anything is said about the route, so that a stranger cannot find out which
    /// there are.
    pub fn judge(
        &self,
        headers: &[(String, Vec<u8>)],
        now: Timestamp,
        buffer: &mut TokenBuffer,
    ) -> Verdict<'_> {
        match self.decide(headers, now, buffer) {
            Ok(verdict) => verdict,
            Err(denial) => Verdict::Deny(denial),
        }
    }

    fn decide(
        &self,
        headers: &[(String, Vec<u8>)],
        now: Timestamp,
        buffer: &mut TokenBuffer,
    ) -> Result<Verdict<'_>, Denial<'_>> {
        let config = self.config();
        let request = Request::read(headers).map_err(unusable)?;
        let routes = self.routes(now).map_err(unavailable)?;
        let route = match routes.find(request.method, request.target) {
            Ok(route) if *route.access() == Access::Public => return Ok(Verdict::Public),
            Err(denial @ RouteDenial::Path(_)) => return Err(Denial::new(Kind::BadRequest, denial.reason())),
            found => found,
        };
        let policy = self.policy().ok_or_else(|| unavailable("no_policy"))?;
        if policy.freshness().is_expired(now) {
            return Err(unavailable("policy_expired"));
        }
        let ring = self.ring(now).map_err(unavailable)?;
        let token = request.token.ok_or_else(|| Denial::new(Kind::NoToken, "no_token"))?;
        let bad_token = |error: TokenError| Denial::new(Kind::BadToken, error.reason());
        let claims = ring.verify(token, now, buffer).map_err(bad_token)?.claims;
        let Some(user) = claims.user_id.as_ref().map(ToString::to_string) else {
            return Err(Denial::new(Kind::BadToken, "no_user_id"));
        };
        let question = Question { config, policy, user: &user, claims: &claims, now };
        question.answer(route)
    }
}

/// A request of somebody who is known.
struct Question<'g, 'r> {
    config: &'g Config,
    policy: &'g LivePolicy,
    user: &'r str,
    claims: &'r Claims<'r>,
    now: Timestamp,
}

impl<'g> Question<'g, '_> {
    fn answer(&self, route: Result<&'g Route, RouteDenial>) -> Result<Verdict<'g>, Denial<'g>> {
        let named: Vec<&str> = self.claims.roles.iter().map(AsRef::as_ref).collect();
        let roles = match self.config.roles {
            RoleSource::Token => Roles::Named(&named),
            RoleSource::Bundle => Roles::Stored,
        };
        let identity = || {
            let limit = self.config.permissions_header_bytes;
            Identity::of(self.policy.index(), self.user, roles, self.now, limit)
        };
        let forbidden = |reason, route| Denial {
            kind: Kind::Forbidden,
            reason,
            route,
            // Where nothing passes, nobody reads it.
            identity: self.config.mode.is_shadow().then(identity),
        };
        let route = route.map_err(|denial| forbidden(denial.reason(), None))?;
        let Access::Permission(permission) = route.access() else { return Ok(Verdict::Public) };
        let decision = self.policy.index().decide(&policy_core::Request {
            user: self.user,
            roles,
            permission: permission.as_str(),
            now: self.now,
        });
        match decision {
            Decision::Allow(_) => Ok(Verdict::Allow(identity())),
            Decision::Deny(_) => Err(forbidden(decision.reason(), Some(route))),
        }
    }
}

impl Denial<'_> {
    const fn new(kind: Kind, reason: &'static str) -> Self {
        Self { kind, reason, route: None, identity: None }
    }
}

fn unavailable<'g>(reason: &'static str) -> Denial<'g> {
    Denial::new(Kind::Unavailable, reason)
}

fn unusable<'g>(why: Unusable) -> Denial<'g> {
    let kind = match why {
        Unusable::RequestLine | Unusable::Override => Kind::BadRequest,
        Unusable::SeveralTokens => Kind::BadToken,
    };
    Denial::new(kind, why.reason())
}
