//! Names of devices, and the IDs of their recordings.

use std::fmt::Write as _;

use crate::recording::{RecordingName, RecordingNameError};

/// A name of a device that no recording can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of the device is empty or too long: it may have 128 bytes, and bytes other than A-Z a-z 0-9 - _ . count three times, so that a letter of another script counts 6 or 9"
)]
pub struct DeviceNameError;

/// Returns the ID of the recording of a device. Different devices have different IDs.
///
/// The letters A-Z and a-z, digits, `-`, `_` and `.` stay as they are. Each other byte of the UTF-8 text becomes `~` and two
/// hexadecimal digits. In a name that has nothing but dots, the first one does, too, because `.` and `..` have a meaning
/// in URLs.
///
/// ```
/// use waywiser::ingest::recording_id;
///
/// assert_eq!(recording_id("jane/phone")?, "jane~2Fphone");
/// assert_eq!(recording_id("..")?, "~2E.");
/// assert!(recording_id("").is_err());
/// # Ok::<(), waywiser::ingest::DeviceNameError>(())
/// ```
///
/// # Errors
/// If the name is empty, or the ID would have more than 128 characters.
pub fn recording_id(device: &str) -> Result<String, DeviceNameError> {
    // No shorter name has an ID that is too long, and this bounds the work.
    if device.len() > 128 {
        return Err(DeviceNameError);
    }
    let only_dots = device.bytes().all(|byte| byte == b'.');
    let mut id = String::with_capacity(device.len());
    for (index, byte) in device.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if is_plain && !(only_dots && index == 0) {
            id.push(char::from(byte));
        } else {
            write!(id, "~{byte:02X}").map_err(|_| DeviceNameError)?;
        }
    }
    match RecordingName::from_id(&id) {
        Ok(_) => Ok(id),
        Err(RecordingNameError) => Err(DeviceNameError),
    }
}

/// Returns the name of the device of a recording with this ID: the inverse of [`recording_id`]. `None` if the ID is not
/// that of a device.
pub fn device_name(id: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(id.len());
    let mut rest = id.bytes();
    while let Some(byte) = rest.next() {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        bytes.push(match byte {
            b'~' => u8::try_from(hex(rest.next()?)? << 4 | hex(rest.next()?)?).ok()?,
            byte => byte,
        });
    }
    let name = String::from_utf8(bytes).ok()?;
    recording_id(&name).is_ok_and(|expected| expected == id).then_some(name)
}

/// Checks the name of a device. An empty name is a missing one.
///
/// # Errors
/// If no recording can have it.
pub(super) fn checked(device: Option<&str>) -> Result<Option<&str>, DeviceNameError> {
    let Some(device) = device.filter(|device| !device.is_empty()) else { return Ok(None) };
    recording_id(device).map(|_| Some(device))
}
