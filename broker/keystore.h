/*
 * What the command may ask about and of the keystore.
 */
#ifndef BROKER_KEYSTORE_H
#define BROKER_KEYSTORE_H

#include "broker/dispatch.h"

/* Messages `keystore_get` and `keystore_move`. */
dispatch_fn on_keystore_get;
dispatch_fn on_keystore_move;

#endif
