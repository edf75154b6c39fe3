//! Amounts and positions parse back to what was printed, and sums are exact until they are refused.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{prelude::*, test_runner::TestCaseError};
use tallycast::{Position, domain::Amount};

use crate::support::model::{Decimal, cases::runner};

#[test]
fn an_amount_is_read_back_as_it_was_printed() {
    let texts = prop_oneof![
        "-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,9})?",
        "-?999999999999999\\.999999999",
        "-?0\\.0{0,8}[0-9]",
    ];
    let result = runner(2_000).run(&texts, |text| {
        let amount: Amount = text.parse().map_err(|_| TestCaseError::fail("refused"))?;
        let zero = text.bytes().all(|b| b"-0.".contains(&b));
        let expected = if zero {
            text.trim_start_matches('-')
        } else {
            &text
        };
        prop_assert_eq!(amount.to_string(), expected);
        prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
        prop_assert_eq!(amount.nanos(), Decimal::read(&text).nanos);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn sums_grow_exactly_until_they_are_refused() {
    let mut sum: Amount = "999999999999999.999999999".parse().unwrap();
    let mut expected: i128 = 999_999_999_999_999_999_999_999;
    while let Some(doubled) = sum.checked_add(sum) {
        expected *= 2;
        assert_eq!(doubled.nanos(), expected);
        let json = serde_json::to_string(&doubled).unwrap();
        assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), doubled);
        sum = doubled;
    }
    assert!(
        expected.checked_mul(2).is_none(),
        "refused at {expected}, too early"
    );
}

#[test]
fn a_position_is_read_back_as_it_was_printed() {
    let offset = prop_oneof![
        Just(0),
        Just(Position::OFFSET_MAX),
        0..=Position::OFFSET_MAX
    ];
    let day = prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()];
    let parts = (any::<[u64; 2]>(), offset, day, any::<u32>(), any::<bool>());
    let result = runner(1_000).run(&parts, |([epoch, tag], offset, day, revision, due)| {
        let bytes = |version: u8, due: u8, offset: u64| {
            let mut bytes = vec![version, due];
            bytes.extend(
                [epoch, tag, offset]
                    .iter()
                    .flat_map(|long| long.to_be_bytes()),
            );
            bytes.extend(day.to_be_bytes());
            bytes.extend(revision.to_be_bytes());
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let text = bytes(1, u8::from(due), offset);
        let position = Position::parse(&text).map_err(|_| TestCaseError::fail("refused"))?;
        prop_assert_eq!(
            (position.to_string(), position.offset()),
            (text.clone(), offset)
        );
        let forged = [
            bytes(2, 0, offset),
            bytes(1, 2, offset),
            bytes(1, 0, Position::OFFSET_MAX + 1),
        ];
        for text in forged
            .into_iter()
            .chain([format!("{text}A"), text[1..].to_owned()])
        {
            prop_assert_eq!(Position::parse(&text).unwrap_err().code(), "bad_position");
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
