/*
 * Who the children of `streamhold up` run as.
 *
 * Without root everything runs as the caller. As root the fronts run as their own users
 * or as nobody, and the broker as `streamhold` or as the owner of the state folder. In
 * user mode (root with XDG folders) the owner of the folder is the user that is meant,
 * so the system's `streamhold` is left aside.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/cli/up.h"
#include "common/log.h"
#include "common/process.h"

#define BROKER_USER "streamhold"
#define FALLBACK_USER "nobody"
#define ADMIN_GROUP "streamhold"

static const char *const front_users[UP_ROLE_MAX] = {
	[UP_API] = "streamhold-api",
	[UP_WEBHOOK] = "streamhold-hook",
};

static void
set_user(struct up_user *user, uid_t uid, gid_t gid)
{
	const struct passwd *entry = getpwuid(uid);

	user->uid = uid;
	user->gid = gid;
	if (entry)
		(void)snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
	else
		(void)snprintf(user->name, sizeof(user->name), "%u", (unsigned)uid);
}

static bool
set_user_by_name(struct up_user *user, const char *name)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry || entry->pw_uid == 0)
		return false;
	set_user(user, entry->pw_uid, entry->pw_gid);
	return true;
}

/* The owner of the state folder; of ourselves when there is none yet. */
static void
set_owner(struct up_user *user, const char *folder)
{
	struct stat status;

	if (lstat(folder, &status) == 0 && S_ISDIR(status.st_mode))
		set_user(user, status.st_uid, status.st_gid);
	else
		set_user(user, geteuid(), getegid());
}

/* The admin group may use the broker's socket, so no front is ever in it. */
static void
leave_admin_group(struct up_user *user)
{
	const struct group *admin = getgrnam(ADMIN_GROUP);
	const struct passwd *nobody;

	if (!admin || admin->gr_gid != user->gid)
		return;
	nobody = getpwnam(FALLBACK_USER);
	user->gid = nobody ? nobody->pw_gid : (gid_t)65534;
}

static bool
choose_front(struct up_user *user, enum up_role role)
{
	if (!set_user_by_name(user, front_users[role]) &&
	    !set_user_by_name(user, FALLBACK_USER))
		return false;
	leave_admin_group(user);
	return true;
}

static int
choose_as_root(struct up *up)
{
	struct up_child *children = up->children;
	struct up_user *broker = &children[UP_BROKER].user;

	if (up->paths.system ? !set_user_by_name(broker, BROKER_USER) : true)
		set_owner(broker, up->paths.state_dir);
	if (!choose_front(&children[UP_API].user, UP_API) ||
	    !choose_front(&children[UP_WEBHOOK].user, UP_WEBHOOK)) {
		log_error("up",
		    "there is neither a user '%s' nor a user '%s' for the fronts: make "
		    "one with `useradd --system %s`",
		    front_users[UP_API], FALLBACK_USER, front_users[UP_API]);
		return EXIT_START;
	}
	log_info("up", "as root: the broker runs as '%s', api as '%s', webhook as '%s'",
	    broker->name, children[UP_API].user.name, children[UP_WEBHOOK].user.name);
	if (broker->uid == 0)
		log_warning("up",
		    "there is no user '%s' and '%s' belongs to root, so the broker "
		    "runs "
		    "as root; continuing",
		    BROKER_USER, up->paths.state_dir);
	return 0;
}

int
up_user_choose(struct up *up)
{
	size_t role;

	if (geteuid() == 0)
		return choose_as_root(up);
	for (role = 0; role < UP_ROLE_MAX; role++)
		set_user(&up->children[role].user, geteuid(), getegid());
	return 0;
}

int
up_user_become(const struct up_user *user, bool groups)
{
	if (geteuid() != 0 || user->uid == 0)
		return 0;
	if (groups ? initgroups(user->name, user->gid) : setgroups(0, NULL))
		return -errno;
	if (setresgid(user->gid, user->gid, user->gid) != 0 ||
	    setresuid(user->uid, user->uid, user->uid) != 0)
		return -errno;
	if (setuid(0) == 0 || geteuid() != user->uid)
		return -EPERM;
	return 0;
}
