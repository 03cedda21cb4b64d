// What gcc's unwinder asks of glibc, for a static program on musl: the unwind table of
// the code at `pc`. Compiled by cross/rust-src.sh; takes no lock and keeps nothing.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

struct search {
  uintptr_t pc;
  struct dl_find_object *found;
};

static int visit(struct dl_phdr_info *object, size_t size, void *argument) {
  (void)size;
  struct search *search = argument;
  uintptr_t start = 0, end = 0, table = 0;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    uintptr_t at = object->dlpi_addr + part->p_vaddr;
    if (part->p_type == PT_LOAD && search->pc >= at && search->pc - at < part->p_memsz) {
      start = at;
      end = at + part->p_memsz;
    }
    if (part->p_type == PT_GNU_EH_FRAME)
      table = at;
  }
  if (end == 0 || table == 0)
    return 0;
  *search->found = (struct dl_find_object){
      .dlfo_map_start = (void *)start,
      .dlfo_map_end = (void *)end,
      .dlfo_eh_frame = (void *)table,
  };
  return 1;
}

int _dl_find_object(void *pc, struct dl_find_object *found) {
  struct search search = {(uintptr_t)pc, found};
  return dl_iterate_phdr(visit, &search) == 1 ? 0 : -1;
}
