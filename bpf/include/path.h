/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Paths of files, read from the dentries and mounts themselves, and of cgroups. */
#ifndef FLIGHTREC_PATH_H
#define FLIGHTREC_PATH_H

#include "blob.h"
#include "kernel_differences.h"

#define PATH_COMPONENTS 48 /* names and mounts crossed */
#define PATH_COMPONENT_MAX 255
#define PATH_BYTES_MAX 2048

struct path_walk {
    void* base; /* of the scratch slot */
    struct dentry* dentry;
    struct vfsmount* vfs;
    struct dentry* root_dentry;
    struct vfsmount* root_vfs;
    u32 begin, end; /* offsets in the slot */
    u32 reached;    /* the root */
};

static __always_inline bool add_component(struct path_walk* w, const void* name) {
    u32 place = w->end & (FR_EVENT_MAX - 1);
    if (place - w->begin > PATH_BYTES_MAX - 256) return false;
    long n = bpf_probe_read_kernel_str(w->base + place, PATH_COMPONENT_MAX + 1, name);
    if (n <= 0) return false;
    w->end = place + (u32)n;
    return true;
}

/* One step up: a name, or from a mount to where it is mounted. */
static long path_step(u32 index, void* context) {
    struct path_walk* w = context;
    (void)index;
    struct dentry* dentry = w->dentry;
    struct vfsmount* vfs = w->vfs;
    if (dentry == w->root_dentry && vfs == w->root_vfs) {
        w->reached = 1;
        return 1;
    }
    struct dentry* mnt_root = BPF_CORE_READ(vfs, mnt_root);
    struct dentry* parent = BPF_CORE_READ(dentry, d_parent);
    if (dentry == mnt_root || dentry == parent) {
        struct mount* mount = (void*)vfs - bpf_core_field_offset(struct mount, mnt);
        struct mount* up = BPF_CORE_READ(mount, mnt_parent);
        if (dentry != mnt_root || up == mount || !up) {
            /* a file without a folder (memfd, fs/dcache.c:d_alloc_pseudo()) has a name all the same */
            if (dentry != mnt_root && w->end == w->begin) add_component(w, BPF_CORE_READ(dentry, d_name.name));
            w->reached = 1;
            return 1;
        }
        w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
        w->vfs = (void*)up + bpf_core_field_offset(struct mount, mnt);
        return 0;
    }
    if (!add_component(w, BPF_CORE_READ(dentry, d_name.name))) return 1;
    w->dentry = parent;
    return 0;
}

#define PLAIN_COMPONENTS 16

/* The names up to the mount's root, where nothing has to be crossed: plain loads from what the kernel knows the type of
 * (a helper a load, as in path_step(), is some five times as dear). The rest is left to path_step(). */
static __always_inline void plain_names(struct path_walk* w, struct dentry* dentry, struct vfsmount* vfs) {
    struct dentry* mnt_root = vfs->mnt_root;
    struct dentry* stop = vfs == w->root_vfs ? w->root_dentry : mnt_root;
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < PLAIN_COMPONENTS; i++) {
        struct dentry* parent = dentry->d_parent;
        if (dentry == stop || dentry == mnt_root || dentry == parent) break;
        if (!add_component(w, dentry->d_name.name)) break;
        dentry = parent;
    }
    w->dentry = dentry;
    if (vfs == w->root_vfs && dentry == w->root_dentry) w->reached = 1;
}

static __always_inline void close_path(struct draft* d, u8 kind, struct path_walk* w) {
    u32 at = bounded(d->used), end = w->end & (FR_EVENT_MAX - 1);
    if (!w->reached) { /* an empty component at the end says so */
        *(u8*)(d->base + end) = 0;
        end++;
    }
    u32 length = (end - at - sizeof(struct fr_blob)) & 4095;
    blob_pad(d, length);
    blob_close(d, kind, length, w->reached ? 0 : FR_BLOB_CUT);
}

/* A path, components leaf first, each NUL-ended; walks up dentries and mounts until `root` or the root of the mount
 * namespace, as d_path() in fs/d_path.c does (without its locks: a concurrent rename may show either name).
 * bpf_loop(): 5.17. */
static __always_inline void blob_path(struct draft* d, u8 kind, struct path* from, struct path* root) {
    u32 at = bounded(d->used);
    if (at + PATH_BYTES_MAX + 512 > DRAFT_LIMIT) return;
    struct path_walk w = {
        .base = d->base,
        .dentry = BPF_CORE_READ(from, dentry),
        .vfs = BPF_CORE_READ(from, mnt),
        .root_dentry = BPF_CORE_READ(root, dentry),
        .root_vfs = BPF_CORE_READ(root, mnt),
        .begin = at + sizeof(struct fr_blob),
        .end = at + sizeof(struct fr_blob),
    };
    bpf_loop(PATH_COMPONENTS, path_step, &w, 0);
    close_path(d, kind, &w);
}

/* The same, faster, of paths that the kernel knows the type of: those that hang on an argument of a BTF tracepoint. */
static __always_inline void blob_typed_path(struct draft* d, u8 kind, struct dentry* dentry, struct vfsmount* vfs,
                                            struct fs_struct* fs) {
    u32 at = bounded(d->used);
    if (at + PATH_BYTES_MAX + 512 > DRAFT_LIMIT) return;
    struct path_walk w = {
        .base = d->base,
        .vfs = vfs,
        .root_dentry = fs->root.dentry,
        .root_vfs = fs->root.mnt,
        .begin = at + sizeof(struct fr_blob),
        .end = at + sizeof(struct fr_blob),
    };
    plain_names(&w, dentry, vfs);
    if (!w.reached) bpf_loop(PATH_COMPONENTS, path_step, &w, 0);
    close_path(d, kind, &w);
}

/* One step up in a hierarchy of cgroups. */
static long cgroup_step(u32 index, void* context) {
    struct path_walk* w = context;
    struct kernfs_node* node = (void*)w->dentry;
    (void)index;
    struct kernfs_node* parent = kernfs_parent(node);
    if (!parent) { /* the root has no name */
        w->reached = 1;
        return 1;
    }
    if (!add_component(w, BPF_CORE_READ(node, name))) return 1;
    w->dentry = (void*)parent;
    return 0;
}

/* The path of a cgroup from the root of its hierarchy, components leaf first. */
static __always_inline void blob_cgroup_path(struct draft* d, u8 kind, struct kernfs_node* from) {
    u32 at = bounded(d->used);
    if (!from || at + PATH_BYTES_MAX + 512 > DRAFT_LIMIT) return;
    struct path_walk w = {
        .base = d->base,
        .dentry = (void*)from,
        .begin = at + sizeof(struct fr_blob),
        .end = at + sizeof(struct fr_blob),
    };
    bpf_loop(PATH_COMPONENTS, cgroup_step, &w, 0);
    close_path(d, kind, &w);
}

#endif /* FLIGHTREC_PATH_H */
