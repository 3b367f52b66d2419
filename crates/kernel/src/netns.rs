//! Network devices of the caller's network namespace.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::error::{Context, check};
use crate::{KernelError, Result};

/// Sets the loopback device up.
pub fn set_loopback_up() -> Result<()> {
    set_up("lo")
}

/// Sets a device up.
pub fn set_up(name: &str) -> Result<()> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .during("socket", "")?;
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` is a valid ifreq with the flags member set; it outlives the call.
    let answer =
        unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    check(answer.into()).map(drop).during("set link up", name)
}

/// The kernel's number of a device.
pub fn index(name: &str) -> Result<u32> {
    let text = std::ffi::CString::new(name).map_err(|_| KernelError::new("find link", name, Errno::INVAL))?;
    // SAFETY: `text` is a C string that outlives the call.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(KernelError::new("find link", name, crate::error::last_errno())),
        index => Ok(index),
    }
}

fn request(name: &str) -> Result<libc::ifreq> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        return Err(KernelError::new("find link", name, Errno::INVAL));
    }
    // SAFETY: ifreq is plain data, for which all zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    Ok(request)
}

/// Moves a device to the network namespace `target` and gives it the name `new_name` there.
///
/// The device is down afterwards and has lost its addresses, which the kernel forgets on the way.
pub fn move_device(name: &str, target: impl AsFd, new_name: &str) -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_NET_NS_FD: u16 = 28;
    const REQUEST_ACK: u16 = 1 | 4;
    let index = index(name)?;
    let mut body = Vec::with_capacity(64);
    // struct ifinfomsg: family, padding, type, index, flags, change.
    body.extend_from_slice(&[0, 0, 0, 0]);
    body.extend_from_slice(&index.to_ne_bytes());
    body.extend_from_slice(&[0; 8]);
    attribute(&mut body, IFLA_NET_NS_FD, &target.as_fd().as_raw_fd().to_ne_bytes());
    if !new_name.is_empty() {
        attribute(&mut body, IFLA_IFNAME, &[new_name.as_bytes(), b"\0"].concat());
    }
    let mut message = Vec::with_capacity(body.len() + 16);
    message.extend_from_slice(&(body.len() as u32 + 16).to_ne_bytes());
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&REQUEST_ACK.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(&body);
    route_request(&message).during("move link", name)
}

/// Appends a netlink attribute, padded to four bytes.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Sends one request and reads its acknowledgement.
fn route_request(message: &[u8]) -> rustix::io::Result<()> {
    // Without a protocol the socket speaks NETLINK_ROUTE, which is number 0.
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    rustix::net::send(&socket, message, rustix::net::SendFlags::empty())?;
    let mut answer = [0_u8; 4096];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    // struct nlmsghdr (16 bytes), then for NLMSG_ERROR the negative errno.
    match answer[..length] {
        [_, _, _, _, 2, 0, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] => {
            match i32::from_ne_bytes([a, b, c, d]) {
                0 => Ok(()),
                number => Err(Errno::from_raw_os_error(-number)),
            }
        }
        _ => Err(Errno::PROTO),
    }
}
