"""`streamhold up` with stand-ins for the three daemons, so that supervision is tested alone.

The stand-in is a small C program. What it does is told by the environment variables
STUB_broker, STUB_api, STUB_webhook: words that are looked for in the table below.
"""
import os
import shutil
import subprocess

from tests.lib.daemon import Streamhold

STUB = r"""
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <grp.h>
#include <stddef.h>

static const char *name = "broker";
static const char *order;

static void say(const char *what)
{
	char line[4096];
	int n = snprintf(line, sizeof line, "stub %s: %s\n", name, what);
	if (write(2, line, n)) {}
}

static void notify(void)
{
	char names[512], *one;
	int fd = 2;

	snprintf(names, sizeof names, "%s", getenv("LISTEN_FDNAMES"));
	for (one = strtok(names, ":"); one; one = strtok(NULL, ":")) {
		fd++;
		if (!strcmp(one, "notify") && send(fd, "STATUS=fine\nREADY=1", 19, 0)) {}
	}
}

static void on_signal(int number)
{
	if (number == SIGTERM) {
		say("term");
		if (strstr(order, "deaf"))
			return;
		if (strstr(order, "linger"))
			usleep(400000);
		say("leaves");
		_exit(0);
	}
	if (number == SIGUSR1 && strstr(order, "told="))
		_exit(atoi(strstr(order, "told=") + 5));
	say(number == SIGHUP ? "hup" : number == SIGUSR1 ? "usr1" : number == SIGUSR2 ? "usr2" : "int");
}

int main(int argc, char **argv)
{
	char text[3000], variable[64];
	gid_t groups[32];
	const char *config = NULL, *exits;
	int i, n = 0;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--role"))
			name = argv[i + 1];
		if (!strcmp(argv[i], "--config"))
			config = argv[i + 1];
		n += snprintf(text + n, sizeof text - n, " %s", argv[i]);
	}
	snprintf(variable, sizeof variable, "STUB_%s", name);
	order = getenv(variable) ? getenv(variable) : "";
	for (i = 0; i < 5; i++)
		signal((int[]){ SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 }[i], on_signal);
	fprintf(stderr, "stub %s: arguments%s\n", name, text);
	fprintf(stderr, "stub %s: user %d group %d groups %d\n", name, getuid(), getgid(),
	    getgroups(32, groups));
	fprintf(stderr, "stub %s: passed %s %s for %s\n", name, getenv("LISTEN_FDS"),
	    getenv("LISTEN_FDNAMES"), atoi(getenv("LISTEN_PID")) == getpid() ? "me" : "others");
	fprintf(stderr, "stub %s: notify %s\n", name,
	    getenv("NOTIFY_SOCKET") ? getenv("NOTIFY_SOCKET") : "by the socket that was passed");
	if (config) {
		int fd = open(config, O_RDONLY);
		n = fd < 0 ? -1 : read(fd, text, sizeof text);
		fprintf(stderr, "stub %s: config %d\n", name, n);
		if (fd >= 0 && strncmp(config, "/proc", 5) == 0)
			fprintf(stderr, "stub %s: writable %d\n", name,
			    write(open(config, O_RDWR), "x", 1) == 1);
	}
	if (strstr(order, "noise")) {
		for (i = 0; i < 10000; i++)
			fputc('x', stderr);
		fprintf(stderr, "\nred \033[31m text\nno line end");
	}
	if ((exits = strstr(order, "exit=")))
		_exit(atoi(exits + 5));
	if (!strstr(order, "mute"))
		notify();
	if ((exits = strstr(order, "later=")))
		{ usleep(300000); _exit(atoi(exits + 6)); }
	for (;;)
		pause();
}
"""


class Stage(Streamhold):
    """orders: {"api": "deaf", ...}"""

    def __init__(self, folder, build, orders=None, config=None, **options):
        stage = folder / "stage"
        if not stage.exists():
            (stage / "bin").mkdir(parents=True)
            shutil.copy(build / "bin" / "streamhold", stage / "bin")
            source = stage / "stub.c"
            source.write_text(STUB)
            subprocess.run(["cc", "-w", "-o", stage / "bin" / "streamhold-broker", source],
                           check=True)
            os.link(stage / "bin" / "streamhold-broker", stage / "bin" / "streamhold-httpd")
        environment = {f"STUB_{name}": order for name, order in (orders or {}).items()}
        environment.update(options.pop("environment", {}))
        super().__init__(folder, config, build=stage, environment=environment, **options)

    def said(self, what):
        """The stand-ins that said it, in order."""
        return [line.split()[1].rstrip(":") for line in list(self.log)
                if line.startswith("stub ") and line.split(": ", 1)[1] == what]

    def pids(self):
        """{"broker": pid, "api": pid, "webhook": pid}"""
        found = {}
        for line in subprocess.run(["ps", "--no-headers", "-o", "pid,args", "--ppid",
                                    str(self.process.pid)], capture_output=True,
                                   text=True).stdout.splitlines():
            pid, arguments = line.split(None, 1)
            if "streamhold-" in arguments:
                role = arguments.split("--role ")[1].split()[0] \
                    if "--role" in arguments else "broker"
                found[role] = int(pid)
        return found
