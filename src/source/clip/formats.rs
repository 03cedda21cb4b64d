//! The forms of a file that ffmpeg may take it for.
//!
//! Guarantees: a file of words is no clip, though ffmpeg would draw words (its
//! `tty` and its relatives); nor is a list that names other files, a script, a
//! device, or samples without a header. Not guaranteed: a form that is younger
//! than this list; a later entry in it is all that such a form needs.

/// Names as `ffmpeg -demuxers` has them; names that a version does not know do
/// no harm.
pub(super) const ALLOWED: &str = "\
    3dostr,3g2,3gp,4xm,aa,aac,aax,ac3,ace,acm,act,adp,ads,adx,aea,afc,aiff,aix,\
    alias_pix,alp,amr,amrnb,amrwb,anm,apc,ape,apm,apng,aptx,aptx_hd,argo_asf,argo_brp,\
    argo_cvg,asf,asf_o,ast,au,av1,avi,avr,avs2,avs3,bethsoftvid,bfi,bfstm,bink,binka,\
    bit,bmp_pipe,bmv,boa,brender_pix,brstm,c93,caf,cavsvideo,cdg,cdxl,cine,codec2,\
    cri_pipe,daud,dcstr,dds_pipe,derf,dfa,dfpwm,dhav,dirac,dnxhd,dpx_pipe,dsf,dsicin,\
    dss,dts,dtshd,dv,dxa,ea,ea_cdata,eac3,epaf,evc,exr_pipe,film_cpk,filmstrip,fits,\
    flac,flic,flv,frm,fsb,fwse,g722,g723_1,g726,g726le,g729,gdv,gem_pipe,genh,gif,\
    gif_pipe,gsm,gxf,h261,h263,h264,hca,hcom,hdr_pipe,hevc,hnm,iamf,ico,idcin,iff,ifv,\
    ilbc,image2,image2pipe,ingenient,ipmovie,ipu,ircam,iss,iv8,ivf,ivr,j2k_pipe,\
    jpeg_pipe,jpegls_pipe,jpegxl_anim,jpegxl_pipe,jpegxs_pipe,jv,kux,kvag,live_flv,\
    lmlm4,loas,luodat,lvf,lxf,m4a,m4v,matroska,mca,mgsts,mj2,mjpeg,mjpeg_2000,mlp,mlv,\
    mm,mmf,mods,moflex,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,mpegtsraw,mpegvideo,msf,\
    msnwctcp,msp,mtaf,mtv,musx,mv,mvi,mxf,mxg,nc,nistsphere,nsp,nsv,nut,nuv,obu,ogg,\
    oma,osq,paf,pam_pipe,pbm_pipe,pcx_pipe,pdv,pfm_pipe,pgm_pipe,pgmyuv_pipe,pgx_pipe,\
    phm_pipe,photocd_pipe,pictor_pipe,pmp,png_pipe,pp_bnk,ppm_pipe,psd_pipe,psxstr,\
    pva,pvf,qcp,qdraw_pipe,qoi_pipe,r3d,redspark,rl2,rm,roq,rpl,rsd,rso,s337m,sbc,\
    scd,sdr2,sds,sdx,ser,sga,sgi_pipe,shn,siff,simbiosis_imx,smjpeg,smk,smush,sol,\
    sox,spdif,sunrast_pipe,svag,svs,swf,tak,thp,tiertexseq,tiff_pipe,tmv,truehd,tta,\
    txd,ty,usm,vag,vbn_pipe,vc1,vividas,vivo,vmd,voc,vpk,vqf,vvc,w64,wav,wc3movie,\
    webm,webp_pipe,wsaud,wsd,wsvqa,wtv,wv,wve,xa,xbm_pipe,xmv,xpm_pipe,xvag,xwd_pipe,\
    xwma,yop,yuv4mpegpipe\
";
