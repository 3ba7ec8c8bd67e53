//! Records of sockets, over all databases.

use hearth_domain::{NodeId, Timestamp, UserId};
use hearth_store::sockets::{SocketOwner, SocketRecord};

use crate::{on_all, world::World};

on_all! {
    socket_is_found_by_its_id_and_by_its_owner_until_it_is_removed,
    expired_socket_is_not_found,
}

fn socket(id: &str, owner: SocketOwner) -> SocketRecord {
    SocketRecord { id: id.to_owned(), owner, connected_at: Timestamp::now() }
}

async fn socket_is_found_by_its_id_and_by_its_owner_until_it_is_removed(world: World) {
    let store = world.store();
    let (node, user) = (SocketOwner::Node(NodeId::new()), SocketOwner::User(UserId::new()));
    let (first, second, other) =
        (socket("L0SM9cOFvHcCIhw=", node), socket("b=", node), socket("sock_c", user));
    for socket in [&first, &second, &other] {
        store.sockets().put(socket).await.unwrap();
    }
    assert_eq!(store.sockets().get(&first.id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.sockets().of(node).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.sockets().of(user).await.unwrap(), [other]);
    store.sockets().remove(&first).await.unwrap();
    // A second notice of the same end changes nothing.
    store.sockets().remove(&first).await.unwrap();
    assert_eq!(store.sockets().get(&first.id).await.unwrap(), None);
    assert_eq!(store.sockets().of(node).await.unwrap(), [second]);
}

async fn expired_socket_is_not_found(world: World) {
    let store = world.store();
    let owner = SocketOwner::Node(NodeId::new());
    let day_ago = Timestamp::from_unix_millis(Timestamp::now().unix_millis() - 24 * 3600 * 1000);
    let old = SocketRecord { connected_at: day_ago, ..socket("old", owner) };
    store.sockets().put(&old).await.unwrap();
    assert_eq!(store.sockets().get("old").await.unwrap(), None);
    assert_eq!(store.sockets().of(owner).await.unwrap(), []);
}
