#include "pc_netfilter.h"
#include "pc_nf_receive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

struct reading {
    pc_nf_packet_function each;
    void *context;
};

static struct nlmsghdr *begin(char *room, uint16_t group) {
    struct nlmsghdr *header = mnl_nlmsg_put_header(room);
    header->nlmsg_type = (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    header->nlmsg_seq = 1;
    struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof *generic);
    generic->nfgen_family = AF_UNSPEC;
    generic->version = NFNETLINK_V0;
    generic->res_id = htons(group);
    return header;
}

static int none(const struct nlmsghdr *header, void *context) {
    (void)header;
    (void)context;
    return MNL_CB_OK;
}

static int ask(int socket, const struct nlmsghdr *header) {
    int error = pc_nf_send(socket, header, header->nlmsg_len);
    return error < 0 ? error : pc_nf_receive(socket, none, NULL);
}

int pc_nf_log_bind(int socket, uint16_t group, uint32_t bytes) {
    char room[256];
    // 4 MiB: about ten thousand packets while nobody reads.
    static const int buffer = 4 << 20;
    struct nlmsghdr *header = begin(room, group);
    struct nfulnl_msg_config_cmd command = {.command = NFULNL_CFG_CMD_BIND};
    mnl_attr_put(header, NFULA_CFG_CMD, sizeof command, &command);
    int error = ask(socket, header);
    if (error < 0)
        return error;
    header = begin(room, group);
    struct nfulnl_msg_config_mode mode = {.copy_range = htonl(bytes), .copy_mode = NFULNL_COPY_PACKET};
    mnl_attr_put(header, NFULA_CFG_MODE, sizeof mode, &mode);
    // Each packet by itself, at once: a network that is about to go takes with it what is kept back.
    mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1));
    mnl_attr_put_u16(header, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
    error = ask(socket, header);
    if (setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
        (void)setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    return error;
}

static uint32_t number(const struct nlattr *attribute, uint32_t otherwise) {
    return mnl_attr_validate(attribute, MNL_TYPE_U32) == 0 ? ntohl(mnl_attr_get_u32(attribute)) : otherwise;
}

static int packet_attribute(const struct nlattr *attribute, void *context) {
    struct pc_nf_packet *packet = context;
    switch (mnl_attr_get_type(attribute)) {
    case NFULA_PACKET_HDR:
        if (mnl_attr_validate2(attribute, MNL_TYPE_UNSPEC, sizeof(struct nfulnl_msg_packet_hdr)) == 0)
            packet->hook = ((const struct nfulnl_msg_packet_hdr *)mnl_attr_get_payload(attribute))->hook;
        break;
    case NFULA_PREFIX:
        if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
            packet->prefix = mnl_attr_get_str(attribute);
        break;
    case NFULA_PAYLOAD:
        packet->payload = mnl_attr_get_payload(attribute);
        packet->length = mnl_attr_get_payload_len(attribute);
        break;
    case NFULA_IFINDEX_INDEV: packet->input = number(attribute, 0); break;
    case NFULA_IFINDEX_OUTDEV: packet->output = number(attribute, 0); break;
    case NFULA_UID: packet->uid = number(attribute, UINT32_MAX); break;
    case NFULA_SEQ:
        packet->sequence = number(attribute, 0);
        packet->has_sequence = 1;
        break;
    default: break;
    }
    return MNL_CB_OK;
}

static int packet_message(const struct nlmsghdr *header, void *context) {
    const struct reading *reading = context;
    if (header->nlmsg_type != ((NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET)
        || mnl_nlmsg_get_payload_len(header) < sizeof(struct nfgenmsg))
        return MNL_CB_OK;
    struct pc_nf_packet packet = {.prefix = "", .uid = UINT32_MAX};
    if (mnl_attr_parse(header, sizeof(struct nfgenmsg), packet_attribute, &packet) < 0)
        return MNL_CB_OK;
    reading->each(reading->context, &packet);
    return MNL_CB_OK;
}

int pc_nf_log_read(int socket, pc_nf_packet_function each, void *context) {
    struct reading reading = {each, context};
    return pc_nf_read(socket, packet_message, &reading);
}

int pc_nf_log_parse(const void *bytes, uint32_t length, pc_nf_packet_function each, void *context) {
    struct reading reading = {each, context};
    return pc_nf_run(bytes, length, packet_message, &reading);
}
