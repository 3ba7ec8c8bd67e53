//! Files of users, their sums and their quotas, over all databases.

use futures::{FutureExt as _, StreamExt as _, stream};
use hearth_domain::{FileId, FileState, OrganisationId, Owner, Timestamp, UserId};
use hearth_store::{
    Store,
    files::{FileAdmission, FileQuota, FileRecord, FileSums},
    owned::OwnedEntry,
};
use hearth_tests::upload_record;

use crate::{on_all, world::World};

on_all! {
    file_counts_once_it_is_complete,
    sums_are_exact_when_uploads_and_deletions_race,
    files_are_listed_in_both_orders,
    uploads_are_listed_until_they_are_completed_or_deleted,
    ended_files_are_listed_by_their_end_and_removed,
    parts_of_a_file_are_read,
    uploads_are_counted_until_they_are_completed_or_deleted,
    completion_and_deletion_at_once_leave_no_half_of_a_file,
    deleted_file_stays_marked_while_its_bytes_may_come_again,
}

const PLENTY: FileQuota = FileQuota { max_bytes: 1 << 40, max_count: 1 << 20 };

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

fn record(owner: Owner, size_bytes: u64) -> FileRecord {
    let upload_ends_at = Some("2096-01-01T00:00:00Z".parse().unwrap());
    FileRecord { upload_ends_at, ..upload_record(owner, size_bytes) }
}

/// Begins an upload, and writes its bytes.
async fn begin(store: &Store, record: &FileRecord) {
    assert!(store.files().begin(record, PLENTY).await.unwrap());
    let bytes: Vec<u8> = (0..record.size_bytes).map(|number| b'0' + (number % 10) as u8).collect();
    let pieces = stream::iter([Ok(bytes.into())]).boxed();
    store.files().write(record.id, &record.media_type, pieces).await.unwrap();
}

async fn stored(store: &Store, owner: Owner, size_bytes: u64) -> FileRecord {
    let record = record(owner, size_bytes);
    begin(store, &record).await;
    assert_eq!(store.files().finish(&record, PLENTY, PLENTY).await.unwrap(), FileAdmission::Stored);
    FileRecord { state: FileState::Stored, upload_ends_at: None, ..record }
}

async fn file_counts_once_it_is_complete(world: World) {
    let (store, owner) = (world.store(), owner());
    let files = store.files();
    let upload = record(owner, 10);
    begin(&store, &upload).await;
    assert_eq!(files.user_sums(owner).await.unwrap(), FileSums::default());
    assert_eq!(files.page(owner, true, None, 10).await.unwrap(), (Vec::new(), false));
    let (entries, _) = store.owned().page(owner.user, None, 10).await.unwrap();
    assert_eq!(entries, [OwnedEntry::File(upload.id)], "an erasure finds the upload");
    let none = FileQuota { max_bytes: 9, max_count: 1 };
    let full = files.finish(&upload, none, PLENTY).await.unwrap();
    assert_eq!(full, FileAdmission::UserIsFull(FileSums::default()));
    let full = files.finish(&upload, PLENTY, none).await.unwrap();
    assert_eq!(full, FileAdmission::OrganisationIsFull(FileSums::default()));
    for _ in 0..2 {
        // A request whose answer was lost is repeated.
        assert_eq!(files.finish(&upload, PLENTY, PLENTY).await.unwrap(), FileAdmission::Stored);
    }
    let sums = FileSums { bytes: 10, count: 1 };
    assert_eq!(files.user_sums(owner).await.unwrap(), sums);
    assert_eq!(files.organisation_sums(owner.organisation).await.unwrap(), sums);
    let file = files.get(upload.id).await.unwrap().unwrap();
    assert_eq!((file.state, file.upload_ends_at), (FileState::Stored, None));
    for _ in 0..2 {
        files.remove(&file).await.unwrap();
        assert_eq!(files.user_sums(owner).await.unwrap(), FileSums::default());
    }
    assert_eq!(files.get(file.id).await.unwrap(), None);
    assert!(files.read(file.id).await.unwrap().is_none(), "the bytes are left");
    assert_eq!(store.owned().page(owner.user, None, 10).await.unwrap().0, []);
    assert_eq!(files.finish(&upload, PLENTY, PLENTY).await.unwrap(), FileAdmission::Ended);
}

async fn sums_are_exact_when_uploads_and_deletions_race(world: World) {
    let (store, owner) = (world.store(), owner());
    let quota = FileQuota { max_bytes: 70, max_count: 100 };
    let uploads: Vec<FileRecord> = (0..20).map(|_| record(owner, 10)).collect();
    for upload in &uploads {
        begin(&store, upload).await;
    }
    let finishes = uploads.iter().map(|upload| {
        let store = store.clone();
        async move { store.files().finish(upload, quota, PLENTY).await.unwrap() }
    });
    let admissions = world.concurrently(finishes).await;
    let admitted: Vec<&FileRecord> = uploads
        .iter()
        .zip(&admissions)
        .filter(|(_, admission)| **admission == FileAdmission::Stored)
        .map(|(upload, _)| upload)
        .collect();
    assert_eq!(admitted.len(), 7, "{admissions:?}");
    assert_eq!(store.files().user_sums(owner).await.unwrap(), FileSums { bytes: 70, count: 7 });
    // Each file is deleted by three at once.
    let deletions = admitted.iter().flat_map(|file| [*file; 3]).map(|file| {
        let store = store.clone();
        async move { store.files().remove(file).await.unwrap() }
    });
    world.concurrently(deletions).await;
    assert_eq!(store.files().user_sums(owner).await.unwrap(), FileSums::default());
    assert_eq!(store.files().organisation_sums(owner.organisation).await.unwrap().count, 0);
}

async fn files_are_listed_in_both_orders(world: World) {
    let (store, owner, other) = (world.store(), owner(), owner());
    stored(&store, other, 1).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(stored(&store, owner, 1).await.id);
    }
    let page = async |newest_first, after, limit| {
        let (files, has_more) = store.files().page(owner, newest_first, after, limit).await.unwrap();
        (files.iter().map(|file| file.id).collect::<Vec<_>>(), has_more)
    };
    assert_eq!(page(false, None, 2).await, (vec![ids[0], ids[1]], true));
    assert_eq!(page(false, Some(ids[1]), 2).await.0, [ids[2]]);
    assert_eq!(page(true, None, 2).await, (vec![ids[2], ids[1]], true));
    assert_eq!(page(true, Some(ids[1]), 2).await.0, [ids[0]]);
}

async fn ended_files_are_listed_by_their_end_and_removed(world: World) {
    let (store, owner) = (world.store(), owner());
    let end = |seconds| Some(Timestamp::from_unix(seconds));
    let over = FileRecord { expires_at: end(200), ..record(owner, 10) };
    let abandoned = FileRecord { upload_ends_at: end(100), ..record(owner, 10) };
    let lasting = record(owner, 10);
    for upload in [&over, &abandoned, &lasting] {
        begin(&store, upload).await;
    }
    for upload in [&over, &lasting] {
        assert_eq!(store.files().finish(upload, PLENTY, PLENTY).await.unwrap(), FileAdmission::Stored);
    }
    let now = Timestamp::now();
    let ended = async |limit| -> Vec<FileId> {
        store.files().ended(now, limit).await.unwrap().iter().map(|file| file.id).collect()
    };
    assert_eq!(ended(1).await, [abandoned.id]);
    assert_eq!(ended(10).await, [abandoned.id, over.id]);
    for id in [over.id, abandoned.id] {
        assert_eq!(store.files().get(id).await.unwrap(), None, "a file is shown after its end");
    }
    for file in store.files().ended(now, 10).await.unwrap() {
        store.files().remove(&file).await.unwrap();
    }
    assert_eq!(ended(10).await, []);
    assert_eq!(store.files().user_sums(owner).await.unwrap(), FileSums { bytes: 10, count: 1 });
}

async fn parts_of_a_file_are_read(world: World) {
    let (store, owner) = (world.store(), owner());
    let file = stored(&store, owner, 25).await;
    assert_eq!(store.files().written_bytes(file.id).await.unwrap(), Some(25));
    for (first, last, text) in [(0, 24, "0123456789012345678901234"), (3, 5, "345"), (24, 24, "4")] {
        let part = store.files().read_range(file.id, first, last).await.unwrap().unwrap();
        assert_eq!(part.collect().await.unwrap(), text.as_bytes());
    }
    store.files().remove(&file).await.unwrap();
    assert_eq!(store.files().written_bytes(file.id).await.unwrap(), None);
    assert!(store.files().read_range(file.id, 0, 1).await.unwrap().is_none());
}

async fn uploads_are_counted_until_they_are_completed_or_deleted(world: World) {
    let (store, owner) = (world.store(), owner());
    let quota = FileQuota { max_bytes: 25, max_count: 3 };
    let uploads: Vec<FileRecord> =
        (0..4).map(|_| FileRecord { announced_bytes: 10, ..record(owner, 10) }).collect();
    let begins = async |upload: &FileRecord| store.files().begin(upload, quota).await.unwrap();
    assert!(begins(&uploads[0]).await && begins(&uploads[1]).await);
    assert!(!begins(&uploads[2]).await, "30 bytes of 25");
    let (entries, _) = store.owned().page(owner.user, None, 10).await.unwrap();
    assert_eq!(entries.len(), 2, "an upload that was refused has an entry");
    assert_eq!(store.files().finish(&uploads[0], PLENTY, PLENTY).await.unwrap(), FileAdmission::Stored);
    assert!(begins(&uploads[2]).await && !begins(&uploads[3]).await);
    for _ in 0..2 {
        store.files().remove(&uploads[1]).await.unwrap();
    }
    assert!(begins(&uploads[3]).await);
}

async fn uploads_are_listed_until_they_are_completed_or_deleted(world: World) {
    let (store, owner) = (world.store(), owner());
    let files = store.files();
    let mut uploads: Vec<FileRecord> = (0..4).map(|_| record(owner, 1)).collect();
    uploads.sort_by_key(|upload| upload.id);
    for upload in &uploads {
        begin(&store, upload).await;
    }
    begin(&store, &record(Owner { organisation: OrganisationId::new(), ..owner }, 1)).await;
    let page = async |after: Option<FileId>, limit| {
        let (records, has_more) = files.uploads_page(owner, after, limit).await.unwrap();
        (records.into_iter().map(|record| record.id).collect::<Vec<FileId>>(), has_more)
    };
    assert_eq!(page(None, 3).await, (vec![uploads[3].id, uploads[2].id, uploads[1].id], true));
    assert_eq!(page(Some(uploads[1].id), 3).await, (vec![uploads[0].id], false));
    assert_eq!(files.finish(&uploads[3], PLENTY, PLENTY).await.unwrap(), FileAdmission::Stored);
    files.remove(&uploads[1]).await.unwrap();
    assert_eq!(page(None, 10).await, (vec![uploads[2].id, uploads[0].id], false));
    let (stored, _) = files.page(owner, true, None, 10).await.unwrap();
    assert_eq!(stored.iter().map(|file| file.id).collect::<Vec<FileId>>(), [uploads[3].id]);
}

async fn completion_and_deletion_at_once_leave_no_half_of_a_file(world: World) {
    let (store, owner) = (world.store(), owner());
    for _ in 0..20 {
        let upload = record(owner, 10);
        begin(&store, &upload).await;
        let (finish, remove) = (store.clone(), store.clone());
        let work = [
            async { finish.files().finish(&upload, PLENTY, PLENTY).await.map(drop) }.boxed(),
            async { remove.files().remove(&upload).await }.boxed(),
        ];
        for result in world.concurrently(work.into_iter()).await {
            result.unwrap();
        }
        assert_eq!(store.files().get(upload.id).await.unwrap(), None);
        assert_eq!(store.files().written_bytes(upload.id).await.unwrap(), None);
        assert_eq!(store.files().user_sums(owner).await.unwrap(), FileSums::default());
        assert_eq!(store.owned().page(owner.user, None, 10).await.unwrap().0, []);
    }
}

async fn deleted_file_stays_marked_while_its_bytes_may_come_again(world: World) {
    let (store, owner) = (world.store(), owner());
    let put_ends_at = Some("2096-01-01T00:00:00Z".parse().unwrap());
    let upload = FileRecord { put_ends_at, ..record(owner, 10) };
    begin(&store, &upload).await;
    assert_eq!(store.files().finish(&upload, PLENTY, PLENTY).await.unwrap(), FileAdmission::Stored);
    store.files().remove(&upload).await.unwrap();
    assert_eq!(store.files().get(upload.id).await.unwrap(), None);
    assert_eq!(store.files().page(owner, true, None, 10).await.unwrap().0, []);
    assert_eq!(store.files().user_sums(owner).await.unwrap(), FileSums::default());
    // A signed request is sent once more.
    let pieces = stream::iter([Ok("again".into())]).boxed();
    store.files().write(upload.id, "text/plain", pieces).await.unwrap();
    let later = "2096-01-02T00:00:00Z".parse().unwrap();
    let [mark] = &store.files().ended(later, 10).await.unwrap()[..] else { panic!("the file isn't marked") };
    assert_eq!((mark.id, mark.name.as_str()), (upload.id, ""));
    store.files().remove(mark).await.unwrap();
    assert_eq!(store.files().written_bytes(upload.id).await.unwrap(), None);
    assert_eq!(store.files().user_sums(owner).await.unwrap(), FileSums::default());
}
