"""System calls made by a running process that was not asked: by ptrace, for root on x86-64.

The process must be waiting in a system call. Its registers are set as if it made another one,
which then goes through its own filter like every other.
"""
import collections
import ctypes
import os
import platform
import signal
import time

POSSIBLE = os.geteuid() == 0 and platform.machine() == "x86_64"
WHY_NOT = "needs root and x86-64: system calls are put into a running process"

PTRACE_PEEKTEXT, PTRACE_POKETEXT, PTRACE_CONT, PTRACE_SINGLESTEP = 1, 4, 7, 9
PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_DETACH = 12, 13, 17
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000
X32 = 0x40000000
SYSCALL, INT80 = b"\x0f\x05", b"\xcd\x80"

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags "
             "rsp ss fs_base gs_base ds es fs gs").split()


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in REGISTERS]


# What became of a call: how is "returned", "killed" (by SIGSYS), "signal" or "exited".
Outcome = collections.namedtuple("Outcome", "how value")


def _ptrace(request, pid, address=None, data=None):
    ctypes.set_errno(0)
    result = libc.ptrace(request, pid, address, data)
    if ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def names():
    """{number: name} of this machine's calls, as libseccomp knows them."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    found = {}
    for number in range(512):
        pointer = seccomp.seccomp_syscall_resolve_num_arch(seccomp.seccomp_arch_native(), number)
        if pointer:
            found[number] = ctypes.string_at(pointer).decode()
    return found


class Injected:
    """A child of this process, or a stranger, held by ptrace."""

    def __init__(self, pid, seconds=10):
        self.pid, self.end = pid, time.monotonic() + seconds
        while True:
            _ptrace(PTRACE_SEIZE, pid)
            _ptrace(PTRACE_INTERRUPT, pid)
            self._wait()
            self.home = Registers()
            _ptrace(PTRACE_GETREGS, pid, None, ctypes.byref(self.home))
            self.word = _ptrace(PTRACE_PEEKTEXT, pid, self.home.rip - 2) & (2**64 - 1)
            if self.word.to_bytes(8, "little")[:2] == SYSCALL and self.home.orig_rax < 512:
                return
            self.leave()
            time.sleep(0.002)

    def _wait(self):
        """The next stop or the end; a call that blocks is a failure of the test."""
        while time.monotonic() < self.end:
            pid, status = os.waitpid(self.pid, WALL | os.WNOHANG)
            if pid:
                return status
            time.sleep(0.0002)
        raise AssertionError("the call neither returned nor killed")

    def call(self, number, arguments=(), code=SYSCALL):
        """Makes the call; afterwards the process is where it was, unless it has ended."""
        registers = Registers.from_buffer_copy(self.home)
        values = (list(arguments) + [0] * 6)[:6]
        places = ("rdi", "rsi", "rdx", "r10", "r8", "r9") if code == SYSCALL else (
            "rbx", "rcx", "rdx", "rsi", "rdi", "rbp")
        for name, value in zip(places, values):
            setattr(registers, name, value & (2**64 - 1))
        registers.rip, registers.rax, registers.orig_rax = self.home.rip - 2, number, 2**64 - 1
        if code != SYSCALL:
            word = code + self.word.to_bytes(8, "little")[2:]
            _ptrace(PTRACE_POKETEXT, self.pid, self.home.rip - 2,
                    int.from_bytes(word, "little"))
        _ptrace(PTRACE_SETREGS, self.pid, None, ctypes.byref(registers))
        _ptrace(PTRACE_SINGLESTEP, self.pid)
        return self._outcome(self._wait())

    def _outcome(self, status):
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return Outcome("killed" if number == signal.SIGSYS else "signal", number)
        if os.WIFEXITED(status):
            return Outcome("exited", os.WEXITSTATUS(status))
        if os.WSTOPSIG(status) == signal.SIGSYS:    # a filter that traps: its handler dies
            _ptrace(PTRACE_CONT, self.pid, None, signal.SIGSYS)
            status = self._wait()
            while os.WIFSTOPPED(status):
                stop = os.WSTOPSIG(status)      # SIGTRAP is of the single step
                _ptrace(PTRACE_CONT, self.pid, None, 0 if stop == signal.SIGTRAP else stop)
                status = self._wait()
            return Outcome("killed", os.WTERMSIG(status))
        registers = Registers()
        _ptrace(PTRACE_GETREGS, self.pid, None, ctypes.byref(registers))
        if os.WSTOPSIG(status) != signal.SIGTRAP:
            return Outcome("signal", os.WSTOPSIG(status))
        return Outcome("returned", ctypes.c_longlong(registers.rax).value)

    def put(self, *pieces):
        """Lays bytes below its stack; gives their addresses."""
        addresses, place = [], (self.home.rsp - 65536) & ~63
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            for piece in pieces:
                memory.seek(place)
                memory.write(piece + b"\0")
                addresses.append(place)
                place += (len(piece) + 64) & ~63
        return addresses

    def leave(self):
        """Lets it go on in the call that it was in."""
        _ptrace(PTRACE_SETREGS, self.pid, None, ctypes.byref(self.home))
        _ptrace(PTRACE_DETACH, self.pid)
