//! What the database holds opens with the right key-encryption key, in its own row, and nowhere else.

use pbac::exit::Exit;
use pbac::keys::Operation;
use pbac::keys::postgres_store::{RESEAL, Resealed, Resealing, SealingKeys};
use policy_core::keys::KeyId;

use crate::bench::{Bench, KEK, OTHER_KEK, ROTATE, day_of, holds_none, revoke, secrets, store};

/// Two keys, and the names of both: the one that signs, and the one before.
async fn two_keys() -> (Bench, String, String) {
    let bench = Bench::with_a_key().await;
    let before = bench.active().await.to_string();
    bench.apply(&ROTATE, 1).await.unwrap();
    let now = bench.active().await.to_string();
    (bench, now, before)
}

async fn reseal(bench: &Bench, from: &str, to: &str) -> Result<Resealed, pbac::error::HostError> {
    let to = SealingKeys::parse(to).unwrap();
    let store = bench.store_with(bench.database.url_text(), from);
    store.reseal(Resealing { to: &to, now: day_of(2), who: "the test", watch: &|_| {} }).await
}

#[tokio::test]
async fn what_was_moved_or_changed_does_not_open_and_is_named() {
    let swap =
        "UPDATE pbac.signing_keys k SET sealed = o.sealed FROM pbac.signing_keys o WHERE o.kid <> k.kid";
    let flip = "UPDATE pbac.signing_keys SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE state = 'active'";
    let shorter = "UPDATE pbac.signing_keys SET sealed = substr(sealed, 1, 72) WHERE state = 'active'";
    let algorithm = "UPDATE pbac.signing_keys SET algorithm = 'EdDSA' WHERE state = 'active'";
    let name = "UPDATE pbac.signing_keys SET kid = 'other' WHERE state = 'active'";
    for statement in [swap, flip, shorter, algorithm, name] {
        let (bench, now, before) = two_keys().await;
        let hidden = secrets(&bench.load().await);
        bench.run(statement).await;
        let error = bench.store().load().await.unwrap_err();
        assert_eq!(error.exit(), Exit::NeedsPerson, "{statement}: {error}");
        let named = [now.as_str(), &before, "other"].iter().any(|kid| error.to_string().contains(kid));
        assert!(named && error.to_string().contains("does not open"), "{statement}: {error}");
        holds_none(&format!("{error:?}"), &hidden, "an error");
        // Nobody rotates over it without having looked.
        let error = bench.apply(&ROTATE, 2).await.unwrap_err();
        assert_eq!(error.exit(), Exit::NeedsPerson, "{statement}: {error}");
        assert_eq!(bench.rows().await.len(), 2);
    }
}

#[tokio::test]
async fn a_row_of_another_schema_does_not_open() {
    let bench = Bench::with_a_key().await;
    let other = store(bench.database.url_text(), "other", KEK);
    bench.apply_to(&other, &ROTATE, 0).await.unwrap();
    bench
        .run("DELETE FROM other.signing_keys; INSERT INTO other.signing_keys SELECT * FROM pbac.signing_keys")
        .await;
    let error = other.load().await.unwrap_err();
    assert!(error.to_string().contains("belongs to another row or schema"), "{error}");
    bench.load().await;
}

/// The way to end what does not open: the name is enough.
#[tokio::test]
async fn a_revoked_key_need_not_open() {
    let (bench, _, before) = two_keys().await;
    bench
        .run(&format!(
            "UPDATE pbac.signing_keys SET sealed = decode(repeat('ab', 90), 'hex') WHERE kid = '{before}'"
        ))
        .await;
    bench.store().load().await.unwrap_err();
    bench.apply(&ROTATE, 2).await.unwrap_err();
    let id = KeyId::parse(&before).unwrap();
    bench.apply(&revoke(&id), 2).await.unwrap();
    assert!(bench.load().await.history().revocation(&before).is_some());
    bench.apply(&ROTATE, 3).await.unwrap();
    assert!(bench.rows().await.iter().all(|row| !row.starts_with(&before)));
}

#[tokio::test]
async fn another_key_encryption_key_opens_nothing_and_is_told_by_its_label() {
    let bench = Bench::with_a_key().await;
    let labels = [KEK, OTHER_KEK].map(|text| SealingKeys::parse(text).unwrap().label().to_owned());
    let wrong = bench.store_with(bench.database.url_text(), OTHER_KEK);
    for error in [wrong.load().await.unwrap_err(), bench.apply_to(&wrong, &ROTATE, 1).await.unwrap_err()] {
        assert_eq!(error.exit(), Exit::Mismatch, "{error}");
        for part in [bench.active().await.as_str(), &labels[0], &labels[1]] {
            assert!(error.to_string().contains(part), "{error}");
        }
        holds_none(&format!("{error:?}"), &[KEK, OTHER_KEK].map(|text| text.as_bytes().to_vec()), "an error");
    }
    assert_eq!(bench.texts("SELECT sealing_key FROM pbac.signing_keys").await, [labels[0].clone()]);
    // Labels say nothing about the key.
    assert!(!KEK.contains(&labels[0]) && !bench.dump().contains(&KEK[..16]));
}

#[tokio::test]
async fn a_fleet_changes_the_key_encryption_key_without_a_gap() {
    let (bench, now, before) = two_keys().await;
    let url = bench.database.url_text();
    let keys = bench.load().await;
    let (both, turned) = (format!("{KEK}\n{OTHER_KEK}"), format!("{OTHER_KEK}\n{KEK}"));
    // Every process is given both first; the old one still seals.
    bench.apply_to(&bench.store_with(url, &both), &Operation::Stage, 1).await.unwrap();
    let staged = bench.load().await.history().staged().unwrap().id.to_string();

    let mut resealed = reseal(&bench, KEK, OTHER_KEK).await.unwrap();
    resealed.keys.sort();
    let mut expected = vec![now, before, staged];
    expected.sort();
    assert_eq!(resealed.keys, expected);
    for opens in [&both, &turned, &OTHER_KEK.to_owned()] {
        let loaded = bench.store_with(url, opens).load().await.unwrap();
        assert!(keys.history().keys().iter().all(|key| {
            loaded.material(&key.id).unwrap().bytes() == keys.material(&key.id).unwrap().bytes()
        }));
    }
    assert_eq!(bench.store().load().await.unwrap_err().exit(), Exit::Mismatch);
    let log = bench.log().await;
    let row = log.last().unwrap();
    assert_eq!((row.action.as_str(), row.outcome.as_str()), (RESEAL, "succeeded"));
    assert_eq!(row.subject, SealingKeys::parse(OTHER_KEK).unwrap().label());
    let hidden = [secrets(&keys), vec![OTHER_KEK.as_bytes().to_vec()]].concat();
    holds_none(&row.details.to_string(), &hidden, "the audit log");

    // A second time there is nothing to do, and one that does not open changes nothing.
    assert_eq!(reseal(&bench, OTHER_KEK, OTHER_KEK).await.unwrap().keys, [""; 0]);
    let third = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let error = reseal(&bench, KEK, third).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Mismatch, "{error}");
    bench.store_with(url, OTHER_KEK).load().await.unwrap();
    assert_eq!(bench.deeds().await.last().unwrap(), "keys.reseal refused");
}
