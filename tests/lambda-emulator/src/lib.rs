//! lambda-emulator
