use std::io;

use crate::transport::follow::CloseReason;

/// Close codes (RFC 6455, section 7.4.1) that this server sends. Never 1000: some clients take it as final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum CloseCode {
    GoingAway = 1001,
    Protocol = 1002,
    Unsupported = 1003,
    NotUnderstood = 1007,
    Policy = 1008,
    TooLarge = 1009,
    Restart = 1012,
    TryLater = 1013,
}

impl CloseCode {
    /// The whole unmasked close frame.
    pub(crate) fn frame(self) -> [u8; 4] {
        let [high, low] = (self as u16).to_be_bytes();
        // Final, opcode 8, a payload of two bytes (RFC 6455, section 5.5.1).
        [0x88, 2, high, low]
    }

    /// The error of a stream that must close with this code.
    pub(crate) fn protocol_error(self) -> io::Error {
        let why = format!("the client broke the WebSocket protocol: {}", self as u16);
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

impl From<CloseReason> for CloseCode {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Slow | CloseReason::Unavailable => Self::TryLater,
            CloseReason::Expired
            | CloseReason::Limit
            | CloseReason::Erased
            | CloseReason::Revoked => Self::Policy,
            CloseReason::Shutdown | CloseReason::Disconnected => Self::Restart,
        }
    }
}
